#include "runtime/settings.h"

namespace redisai {

Settings& GetSettings() {
  static Settings settings;
  return settings;
}

}  // namespace redisai
