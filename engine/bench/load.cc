// Sends one request again and again on several connections and measures when the replies come.
//
//   load SOCKET REQUEST_FILE CONNECTIONS PIPELINE SECONDS
//
// The loop is closed: each connection sends PIPELINE copies of the request, waits for all their replies, then
// sends the next. A request's latency runs from the moment its copies were ready to be sent until its reply
// was read. Prints one line of JSON; percentiles are of all samples, none are estimated. Ends with status 1
// on any error reply and where the server closes a connection or says nothing for ten seconds. One thread.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "reply_scanner.h"

namespace {

constexpr int kSilenceMs = 10'000;
// For memories to be touched and, in the server, estimates of a model's cost to settle.
constexpr std::chrono::milliseconds kWarmUp(200);

using Clock = std::chrono::steady_clock;

[[noreturn]] void ThrowErrno(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

struct Plan {
  std::string socket_path;
  std::string burst;  // `pipeline` copies of the request
  size_t connections;
  size_t pipeline;
  std::chrono::duration<double> duration;
};

class Connection {
 public:
  explicit Connection(const Plan& plan) : plan_(plan), fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (fd_ < 0) ThrowErrno("socket");
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (plan.socket_path.size() >= sizeof(address.sun_path)) throw std::runtime_error("SOCKET is too long");
    std::memcpy(address.sun_path, plan.socket_path.c_str(), plan.socket_path.size());
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) ThrowErrno("connect");
    if (fcntl(fd_, F_SETFL, O_NONBLOCK) != 0) ThrowErrno("fcntl");
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    if (fd_ >= 0) close(fd_);
  }

  int fd() const { return fd_; }
  bool wants_to_send() const { return sent_ < plan_.burst.size(); }
  bool is_done() const { return replies_left_ == 0; }
  Clock::time_point burst_start() const { return burst_start_; }

  void StartBurst() {
    burst_start_ = Clock::now();
    sent_ = 0;
    replies_left_ = plan_.pipeline;
    Send();
  }

  // Sends what the socket takes.
  void Send() {
    while (wants_to_send()) {
      const ssize_t n = send(fd_, plan_.burst.data() + sent_, plan_.burst.size() - sent_, MSG_NOSIGNAL);
      if (n < 0 && errno == EAGAIN) return;
      if (n < 0) ThrowErrno("send");
      sent_ += static_cast<size_t>(n);
    }
  }

  // Returns how many replies ended in what one read gave.
  size_t Receive() {
    static std::array<char, 1 << 16> buffer;
    const ssize_t n = recv(fd_, buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n < 0) ThrowErrno("recv");
    if (n == 0) throw std::runtime_error("the server closed a connection");
    const size_t ended = scanner_.Scan({buffer.data(), static_cast<size_t>(n)});
    if (ended > replies_left_) throw std::runtime_error("more replies than requests");
    replies_left_ -= ended;
    return ended;
  }

 private:
  const Plan& plan_;
  int fd_;
  ReplyScanner scanner_;
  Clock::time_point burst_start_;
  size_t sent_ = 0;
  size_t replies_left_ = 0;
};

class Load {
 public:
  explicit Load(const Plan& plan) : plan_(plan), epoll_fd_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_fd_ < 0) ThrowErrno("epoll_create1");
    for (size_t i = 0; i < plan.connections; ++i) {
      connections_.push_back(std::make_unique<Connection>(plan));
      Watch(EPOLL_CTL_ADD, *connections_.back(), EPOLLIN);
    }
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load() { close(epoll_fd_); }

  // Runs until the time is over and each request is answered; returns the latencies within the time.
  std::vector<double> Run() {
    measured_from_ = Clock::now() + kWarmUp;
    end_ = measured_from_ + std::chrono::duration_cast<Clock::duration>(plan_.duration);
    for (auto& connection : connections_) Start(*connection);
    running_ = connections_.size();
    std::array<epoll_event, 64> events;
    while (running_ > 0) {
      const int n = epoll_wait(epoll_fd_, events.data(), events.size(), kSilenceMs);
      if (n < 0 && errno != EINTR) ThrowErrno("epoll_wait");
      if (n == 0) throw std::runtime_error("no reply within ten seconds");
      for (int i = 0; i < n; ++i) Handle(*static_cast<Connection*>(events[i].data.ptr), events[i].events);
    }
    return std::move(latencies_us_);
  }

  // How many replies have come in all, those outside the time included.
  size_t replies() const { return replies_; }

 private:
  void Watch(int operation, Connection& connection, uint32_t events) {
    epoll_event event = {};
    event.events = events;
    event.data.ptr = &connection;
    if (epoll_ctl(epoll_fd_, operation, connection.fd(), &event) != 0) ThrowErrno("epoll_ctl");
  }

  void Start(Connection& connection) {
    connection.StartBurst();
    if (connection.wants_to_send()) Watch(EPOLL_CTL_MOD, connection, EPOLLIN | EPOLLOUT);
  }

  void Handle(Connection& connection, uint32_t events) {
    if (events & EPOLLOUT) {
      connection.Send();
      if (!connection.wants_to_send()) Watch(EPOLL_CTL_MOD, connection, EPOLLIN);
    }
    if (!(events & ~EPOLLOUT)) return;
    const size_t ended = connection.Receive();
    if (ended == 0) return;
    replies_ += ended;
    const auto now = Clock::now();
    if (now >= measured_from_ && now < end_) {
      const double latency_us =
          std::chrono::duration<double, std::micro>(now - connection.burst_start()).count();
      latencies_us_.insert(latencies_us_.end(), ended, latency_us);
    }
    if (!connection.is_done()) return;
    if (now < end_) {
      Start(connection);
    } else {
      --running_;
    }
  }

  const Plan& plan_;
  int epoll_fd_;
  std::vector<std::unique_ptr<Connection>> connections_;
  size_t running_ = 0;
  size_t replies_ = 0;
  Clock::time_point measured_from_;
  Clock::time_point end_;
  std::vector<double> latencies_us_;
};

Plan ReadPlan(char** argv) {
  std::ifstream file(argv[2], std::ios::binary);
  const std::string request((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (request.empty()) throw std::runtime_error("REQUEST_FILE is missing or empty");
  Plan plan = {.socket_path = argv[1],
               .burst = "",
               .connections = std::stoul(argv[3]),
               .pipeline = std::stoul(argv[4]),
               .duration = std::chrono::duration<double>(std::stod(argv[5]))};
  if (plan.connections == 0 || plan.pipeline == 0)
    throw std::runtime_error("CONNECTIONS and PIPELINE are at least 1");
  for (size_t i = 0; i < plan.pipeline; ++i) plan.burst += request;
  return plan;
}

double ProcessorSeconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void Report(std::vector<double> latencies_us, size_t replies, double duration_s, double processor_share) {
  if (latencies_us.empty()) throw std::runtime_error("no reply within SECONDS");
  std::sort(latencies_us.begin(), latencies_us.end());
  const auto percentile = [&](double share) {
    return latencies_us[static_cast<size_t>(share * static_cast<double>(latencies_us.size() - 1))];
  };
  std::printf(
      "{\"replies\": %zu, \"requests_per_second\": %.1f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"p99_9_us\": "
      "%.2f, "
      "\"max_us\": %.2f, \"generator_processor_share\": %.3f}\n",
      replies, static_cast<double>(latencies_us.size()) / duration_s, percentile(0.5), percentile(0.99),
      percentile(0.999), latencies_us.back(), processor_share);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: load SOCKET REQUEST_FILE CONNECTIONS PIPELINE SECONDS\n");
    return 2;
  }
  try {
    const Plan plan = ReadPlan(argv);
    Load load(plan);
    const auto start = Clock::now();
    std::vector<double> latencies_us = load.Run();
    const std::chrono::duration<double> elapsed = Clock::now() - start;
    Report(std::move(latencies_us), load.replies(), plan.duration.count(),
           ProcessorSeconds() / elapsed.count());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "load: %s\n", error.what());
    return 1;
  }
}
