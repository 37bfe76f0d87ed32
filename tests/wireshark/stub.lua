-- The part of Wireshark's Lua interface that docs/wireshark/calc6.lua uses, so that plain lua5.1 to lua5.4 can run it.
--
--   luaX.Y stub.lua calc6.lua DATAGRAMS
--
-- A line of DATAGRAMS is: frame, seconds, source, port, destination, port, "port" or "heuristic", octets in hex ("-"
-- for none). Each is dissected in turn, as in a first pass, then all again from the last to the first, as if selected.
-- It prints the Info column of both passes, and after each of the second pass every item of the tree with its octets.
--
-- It is stricter than Wireshark where that is cheap: integers must be whole, and unknown attributes are errors.

local script, input = arg[1], arg[2]

local function whole(value, what)
  if type(value) ~= "number" or value % 1 ~= 0 then error(what .. " is not a whole number: " .. tostring(value), 3) end
  if math.tointeger and math.tointeger(value) == nil then error(what .. " is out of range", 3) end
  return string.format("%d", value)
end

local function strict(kind, object)
  return setmetatable(object, { __index = function(_, key) error(kind .. " has no " .. tostring(key), 2) end })
end

base = strict("base", { NONE = 0, DEC = 1, HEX = 2 })
frametype = strict("frametype", { NONE = 0, REQUEST = 1, RESPONSE = 2, RETRANS_PREV = 5, RETRANS_NEXT = 6 })
expert = {
  group = strict("group", { MALFORMED = 1, PROTOCOL = 2, SEQUENCE = 3, RESPONSE_CODE = 4, UNDECODED = 5 }),
  severity = strict("severity", { CHAT = "Chat", NOTE = "Note", WARN = "Warning", ERROR = "Error" }),
}

local function field_maker(kind)
  return function(abbreviation, _, _, _, mask) return { field = kind, abbreviation = abbreviation, mask = mask } end
end
ProtoField = strict("ProtoField", {
  string = field_maker("string"), uint8 = field_maker("uint"), uint32 = field_maker("uint"),
  uint64 = field_maker("uint64"), double = field_maker("double"), bool = field_maker("bool"),
  bytes = field_maker("bytes"), framenum = field_maker("framenum"), relative_time = field_maker("time"),
})
ProtoExpert = { new = function(abbreviation, text, _, severity)
  return { expert = abbreviation, text = text, severity = severity }
end }
local function preference(_, default) return default end
Pref = strict("Pref", { range = preference, bool = preference, uint = preference })
Dissector = { get = function(name) return { dissector = name } end }

local calc6, heuristic
function Proto(name)
  calc6 = { name = name, prefs = {}, register_heuristic = function(_, list, run)
    assert(list == "udp" and calc6.prefs.heuristic, "nobody asked for the heuristic")
    heuristic = run
  end }
  return calc6
end
DissectorTable = { get = function() return { add = function() end, remove = function() end,
  add_for_decode_as = function() end } end }
function gui_enabled() return false end
function register_stat_cmd_arg() end

NSTime = { new = function(seconds, nanoseconds)
  whole(seconds, "seconds")
  whole(nanoseconds, "nanoseconds")
  return { time = string.format("%d.%09d", seconds, nanoseconds) }
end }

-- Tvb and TvbRange.

local function hex(octets)
  return (octets:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

local new_tvb

local function new_range(octets, offset, count)
  return { range = true, octets = octets, offset = offset, count = count, uint = function(self)
    local value = 0
    for i = 1, self.count do value = value * 256 + self.octets:byte(self.offset + i) end
    return value
  end, tvb = function() return new_tvb(octets:sub(offset + 1, offset + count)) end }
end

function new_tvb(octets)
  return strict("Tvb", {
    len = function() return #octets end,
    reported_len = function() return #octets end,
    raw = function() return octets end,
    range = function(_, offset, count)
      offset, count = offset or 0, count or #octets
      whole(offset, "offset")
      whole(count, "count")
      assert(offset >= 0 and count > 0 and offset + count <= #octets, "out of bounds")
      return new_range(octets, offset, count)
    end,
  })
end

-- Trees.

local lines

local function masked(range, mask)
  local value = range:uint()
  if not mask then return value end
  local factor = 1
  while math.floor(mask / factor) % 2 == 0 do factor = factor * 2 end
  return math.floor(value / factor) % (math.floor(mask / factor) + 1)
end

local function value_text(field, range, value)
  local kind = field.field
  if kind == "framenum" then return whole(value, field.abbreviation) end
  if kind == "time" then return value.time end
  if kind == "double" then
    assert(type(value) == "number", field.abbreviation .. " is no number")
    return string.format("%.15g", value)
  end
  if kind == "string" then
    assert(type(value) == "string", field.abbreviation .. " is not a string")
    return value
  end
  if kind == "bool" then return tostring(masked(range, field.mask) == 1) end
  if kind == "bytes" or kind == "uint64" then
    return hex(range.octets:sub(range.offset + 1, range.offset + range.count))
  end
  return whole(value or masked(range, field.mask), field.abbreviation)
end

local function new_item()
  local item = {}
  function item.add(_, field, ...)
    local arguments, range = { ... }, nil
    if type(arguments[1]) == "table" and arguments[1].range then range = table.remove(arguments, 1) end
    if field.field then
      local place = range and string.format(" @%d+%d", range.offset, range.count) or ""
      local value = value_text(field, range, arguments[1])
      lines[#lines + 1] = string.format("  %s = %s%s", field.abbreviation, value, place)
    end
    return new_item()
  end
  function item.set_generated(self) return self end
  function item.set_hidden(self) return self end
  function item.referenced(_, what) return assert(what.field or what.dissector) and true end
  item.visible = true
  function item.append_text(self, text)
    assert(type(text) == "string")
    return self
  end
  item.set_text = item.append_text
  function item.add_proto_expert_info(_, info, text)
    lines[#lines + 1] = string.format("  %s: %s: %s", info.expert, info.severity, text or info.text)
  end
  return strict("TreeItem", item)
end

-- Packets.

dofile(script)
calc6.prefs.heuristic = true
calc6.prefs_changed()

local Address = {}
Address.__index = Address
Address.__tostring = function(self) return self.text end
Address.__eq = function(a, b) return a.text == b.text end

local packets = {}
for line in io.lines(input) do
  local frame, seconds, source, source_port, destination, destination_port, way, octets =
    line:match("^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$")
  octets = octets == "-" and "" or octets:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)
  packets[#packets + 1] = { frame = tonumber(frame), seconds = tonumber(seconds), source = source,
    source_port = tonumber(source_port), destination = destination, destination_port = tonumber(destination_port),
    way = way, octets = octets }
end

local function dissect(packet, again)
  lines = {}
  local columns = { protocol = "UDP", info = "" }
  local function column(name)
    return { set = function(_, text)
      assert(type(text) == "string")
      columns[name] = text
    end }
  end
  local pinfo = strict("Pinfo", {
    number = packet.frame, visited = again, in_error_pkt = false,
    src = setmetatable({ text = packet.source }, Address), dst = setmetatable({ text = packet.destination }, Address),
    src_port = packet.source_port, dst_port = packet.destination_port, match_uint = packet.destination_port,
    rel_ts = packet.seconds + 0.0, abs_ts = 1700000000.0 + packet.seconds,
    cols = { protocol = column("protocol"), info = column("info") },
  })
  local tvb, tree = new_tvb(packet.octets), new_item()
  if packet.way == "heuristic" then
    heuristic(tvb, pinfo, tree)
  else
    calc6.dissector(tvb, pinfo, tree)
  end
  print(string.format("%d %s %s", packet.frame, columns.protocol, columns.info))
end

for _, packet in ipairs(packets) do dissect(packet, false) end
for i = #packets, 1, -1 do
  dissect(packets[i], true)
  for _, line in ipairs(lines) do print(line) end
end
