-- Redis scripts: the server's globals, and one chunk a file whose includes are pasted in by the loader.
std = "lua51"
max_line_length = 110
self = false -- methods of a layout may do without
read_globals = {
  "redis", "cjson", "cmsgpack", "struct", "bit", "KEYS", "ARGV",
  "agents", "arguments", "chunks", "codec", "companions", "directory", "documents", "errors", "layout",
  "layout_keys", "layout_mixed", "layout_packed", "memo", "memories", "mending", "nearest",
  "packed_pages", "packed_reading", "packed_writing", "policy", "priorities", "random", "ranks", "recall", "retentions",
  "sampling", "segments", "state", "store", "stream", "timestamps", "tokens", "trim", -- lua/include
}
