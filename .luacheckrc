-- Redis scripts: the server's globals, and one chunk a file whose includes are pasted in by the loader.
std = "lua51"
max_line_length = 110
read_globals = {
  "redis", "cjson", "cmsgpack", "struct", "bit", "KEYS", "ARGV",
  "agents", "arguments", "chunks", "codec", "companions", "errors", "layout", "memories", "mending", "nearest",
  "policy", "priorities", "random", "ranks", "recall", "retentions", "sampling", "store", "stream", "timestamps",
  "tokens", "trim", -- lua/include
}
