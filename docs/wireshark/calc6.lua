-- calc6.lua: the calculator's datagrams, classic and extended, in Wireshark and tshark.
--
-- Copy this file into the personal Lua plugin folder, or load it with `-X lua_script:calc6.lua`; README.md in the same
-- folder says how, and lists every field. Plain Lua, without bit operators or libraries, so that the same text runs in
-- Lua 5.1 to 5.4 (Wireshark 3.6 to 4.6): no `//`, and numbers become text by "%d", as 5.3 prints a float 3 as "3.0".
--
-- From top to bottom: the protocol's constants, integers of any size, reading a datagram, the calculator, matching
-- replies to requests, and only then Wireshark: fields, tree, registration, statistics. The upper half does not use
-- Wireshark.

------------------------------------------------------------------------------------------------------------------------
-- The protocol's constants (docs/protocol.md)
------------------------------------------------------------------------------------------------------------------------

local DEFAULT_PORTS = "10000"
local CLASSIC_HEADER, CLASSIC_OPERANDS, CLASSIC_TEXT = 1, 64, 256
local EXTENDED_HEADER, VERSION, ESCAPE = 12, 1, 7
local REQUEST_LIMIT = 1232  -- 1280 - 40 - 8: no fragmentation on any IPv6 path
local REPLY_LIMIT = 3696    -- the longest reply that a server can be told to send
local AMPLIFICATION = 3     -- RFC 9000, section 8.1

local OPCODES = { [0] = "sum", [1] = "multiplication", [ESCAPE] = "the extended form" }
local CLASSIC_SYMBOLS = { [0] = "+", [1] = "*" }
local FORMATS = { [0] = "integer", [1] = "text" }

-- By the operator's octet: its symbol, the word for it, its full name, and how many operands it takes.
local OPERATORS, WORDS = {}, {}
for _, row in ipairs({
  { "+", "sum", "sum", 1 }, { "*", "product", "product", 1 }, { "-", "difference", "difference", 1 },
  { "/", "quotient", "quotient", 2 }, { "%", "remainder", "remainder", 2 }, { "^", "power", "power", 2, 2 },
  { "g", "gcd", "greatest common divisor", 1 }, { "l", "lcm", "least common multiple", 1 },
  { "<", "min", "minimum", 1 }, { ">", "max", "maximum", 1 }, { "&", "and", "and", 1 }, { "|", "or", "or", 1 },
  { "~", "xor", "exclusive or", 1 }, { "?", "describe", "describe", 0 },
}) do
  OPERATORS[string.byte(row[1])] = { symbol = row[1], name = row[3], least = row[4], most = row[5] }
  WORDS[row[1]] = row[2]
end

local STATUS = {
  [0] = "ok", "malformed", "unknown operator", "division by zero", "result too large", "unsupported",
  "outside the operator's domain",
}
local OK, MALFORMED, UNKNOWN_OPERATOR, DIVISION_BY_ZERO, TOO_LARGE, UNSUPPORTED, DOMAIN = 0, 1, 2, 3, 4, 5, 6

local byte, char, concat, find, floor, format, sub = string.byte, string.char, table.concat, string.find, math.floor,
  string.format, string.sub
local unpack_list = unpack or table.unpack  -- moved in Lua 5.2

local WORD = 4294967296             -- 2^32
local EXACT = 9007199254740992      -- 2^53: below it every integer is exact as a double

------------------------------------------------------------------------------------------------------------------------
-- Integers of any size
--
-- A natural number is a list of limbs in base 10^7, the least significant first, without leading zeros: zero is {}. A
-- product of two limbs plus a carry is below 2^53, so the doubles of Lua 5.1 and 5.2 hold it exactly. An integer is a
-- natural with a sign: { negative = boolean, ... }; zero is never negative.
------------------------------------------------------------------------------------------------------------------------

local BASE, DIGITS = 10000000, 7

local function compare_naturals(a, b)
  if #a ~= #b then return #a < #b and -1 or 1 end
  for i = #a, 1, -1 do
    if a[i] ~= b[i] then return a[i] < b[i] and -1 or 1 end
  end
  return 0
end

local function add_naturals(a, b)
  local total, carry = {}, 0
  for i = 1, math.max(#a, #b) do
    local limb = (a[i] or 0) + (b[i] or 0) + carry
    carry = limb >= BASE and 1 or 0
    total[i] = limb - carry * BASE
  end
  if carry > 0 then total[#total + 1] = carry end
  return total
end

-- a - b, where a >= b.
local function subtract_naturals(a, b)
  local rest, borrow, top = {}, 0, 0
  for i = 1, #a do
    local limb = a[i] - (b[i] or 0) - borrow
    borrow = limb < 0 and 1 or 0
    rest[i] = limb + borrow * BASE
    if rest[i] > 0 then top = i end
  end
  for i = #rest, top + 1, -1 do rest[i] = nil end
  return rest
end

local function multiply_naturals(a, b)
  local product = {}
  if #a == 0 or #b == 0 then return product end
  for i = 1, #a + #b do product[i] = 0 end
  for i = 1, #a do
    local factor, carry, at = a[i], 0, i
    for j = 1, #b do
      local limb = product[at] + factor * b[j] + carry
      carry = floor(limb / BASE)
      product[at] = limb - carry * BASE
      at = at + 1
    end
    product[at] = carry
  end
  if product[#product] == 0 then product[#product] = nil end
  return product
end

-- A natural as a double. It starts from 0.0 because the integers of Lua 5.3 would wrap.
local function approximate(limbs)
  local value = 0.0
  for i = #limbs, 1, -1 do value = value * BASE + limbs[i] end
  return value
end

-- Quotient and remainder, for divisors below 10^300: doubles estimate each digit of the quotient, at most one off.
local function divide_naturals(a, b)
  local quotient, rest, divisor = {}, {}, approximate(b)
  for i = #a, 1, -1 do
    if #rest > 0 or a[i] > 0 then table.insert(rest, 1, a[i]) end
    local digit = floor(approximate(rest) / divisor)
    local part = digit > 0 and multiply_naturals(b, { digit }) or {}
    if compare_naturals(part, rest) > 0 then
      digit, part = digit - 1, subtract_naturals(part, b)
    end
    rest = subtract_naturals(rest, part)
    if compare_naturals(rest, b) >= 0 then
      digit, rest = digit + 1, subtract_naturals(rest, b)
    end
    if #quotient > 0 or digit > 0 then table.insert(quotient, 1, digit) end
  end
  return quotient, rest
end

-- Octets from `from` to `to` as an unsigned number, three at a time; `flip` inverts each of their bits.
local function natural_from_octets(octets, from, to, flip)
  local limbs, at = {}, from
  while at <= to do
    local take, carry, factor = (to - at) % 3 + 1, 0, 1
    for _ = 1, take do
      local octet = byte(octets, at)
      carry, factor, at = carry * 256 + (flip and 255 - octet or octet), factor * 256, at + 1
    end
    for i = 1, #limbs do
      local limb = limbs[i] * factor + carry
      carry = floor(limb / BASE)
      limbs[i] = limb - carry * BASE
    end
    while carry > 0 do
      local above = floor(carry / BASE)
      limbs[#limbs + 1] = carry - above * BASE
      carry = above
    end
  end
  return limbs
end

local function integer(limbs, negative)
  limbs.negative = negative and #limbs > 0
  return limbs
end

-- Two's complement of any width: the negative ones are -(inverted + 1).
local function integer_from_octets(octets, from, to)
  if from > to or byte(octets, from) < 128 then return integer(natural_from_octets(octets, from, to), false) end
  return integer(add_naturals(natural_from_octets(octets, from, to, true), { 1 }), true)
end

local function decimal(number)
  if #number == 0 then return "0" end
  local parts = { number.negative and "-" or "", format("%d", number[#number]) }
  for i = #number - 1, 1, -1 do parts[#parts + 1] = format("%07d", number[i]) end
  return concat(parts)
end

local function negate(a)
  return integer(add_naturals(a, {}), not a.negative)
end

local function compare(a, b)
  if a.negative ~= b.negative then return a.negative and -1 or 1 end
  return a.negative and compare_naturals(b, a) or compare_naturals(a, b)
end

local function add(a, b)
  if a.negative == b.negative then return integer(add_naturals(a, b), a.negative) end
  if compare_naturals(a, b) < 0 then return integer(subtract_naturals(b, a), b.negative) end
  return integer(subtract_naturals(a, b), a.negative)
end

local function multiply(a, b)
  return integer(multiply_naturals(a, b), a.negative ~= b.negative)
end

-- Truncated towards zero, so that the remainder has the dividend's sign.
local function divide(a, b)
  local quotient, rest = divide_naturals(a, b)
  return integer(quotient, a.negative ~= b.negative), integer(rest, a.negative)
end

local UNSIGNED_64 = natural_from_octets(("\255"):rep(8), 1, 8)
local NEGATIVE_64 = natural_from_octets("\128" .. ("\0"):rep(7), 1, 8)

-- Signed or unsigned: the range in which the slower operators are recomputed.
local function fits_64(number)
  return compare_naturals(number, number.negative and NEGATIVE_64 or UNSIGNED_64) <= 0
end

-- A natural modulo 2^32, halves first, to stay below 2^53.
local function modulo_word(limbs)
  local rest = 0
  for i = #limbs, 1, -1 do
    local high = floor(rest / 65536)
    local low = rest - high * 65536
    rest = ((high * BASE) % 65536 * 65536 + low * BASE + limbs[i]) % WORD
  end
  return rest
end

local function word_octets(value)
  return char(floor(value / 16777216), floor(value / 65536) % 256, floor(value / 256) % 256, value % 256)
end

local function word_from_octets(octets, at)
  local a, b, c, d = byte(octets, at, at + 3)
  return ((a * 256 + b) * 256 + c) * 256 + d
end

-- The bitwise and of two octets, from a table of all pairs of four bits.
local NIBBLES = {}
for a = 0, 15 do
  for b = 0, 15 do
    local both, bit = 0, 1
    for _ = 1, 4 do
      if floor(a / bit) % 2 == 1 and floor(b / bit) % 2 == 1 then both = both + bit end
      bit = bit * 2
    end
    NIBBLES[a * 16 + b] = both
  end
end

local function and_octets(a, b)
  local low_a, low_b = a % 16, b % 16
  return NIBBLES[a - low_a + (b - low_b) / 16] * 16 + NIBBLES[low_a * 16 + low_b]
end

------------------------------------------------------------------------------------------------------------------------
-- Reading a datagram
--
-- `octets` is what the capture holds of it, `length` its real length: a capture may hold only the start of a packet.
------------------------------------------------------------------------------------------------------------------------

-- The replies of this specification start so, and no server answers a datagram that does.
local function marked_as_reply(octets)
  local first = byte(octets, 1)
  return first == 0xFF or first == 0x7F
end

local function plural(count, word)
  return count == 1 and "1 " .. word or format("%d %ss", count, word)
end

local function printable(text)
  return (text:gsub("[^\32-\126\n]", function(c) return format("\\x%02x", byte(c)) end))
end

-- A long number without its middle digits, for one line of text.
local function shorten(text)
  if #text <= 40 then return text end
  local digits = #text - (sub(text, 1, 1) == "-" and 1 or 0)
  return format("%s...%s (%d digits)", sub(text, 1, 12), sub(text, -12), digits)
end

-- What is wrong with a request, and what a server owes it: an answer with this status, a classic error, or no answer.
local function problem(kind, answer, text)
  return { kind = kind, answer = answer, text = text }
end

local function classic_problem(request)
  local length, opcode, count = request.length, request.opcode, request.operands
  if length == CLASSIC_HEADER then return problem("no_operands", "silence", "no operands after the header") end
  if request.rest > 0 then
    return problem("ragged", "silence", format("%s after the header, not a multiple of 4", plural(length - 1, "octet")))
  end
  if count > CLASSIC_OPERANDS then
    return problem("too_many", "silence", format("%d operands, 64 at most", count))
  end
  if not CLASSIC_SYMBOLS[opcode] then return problem("unknown_opcode", "error", format("unknown opcode %d", opcode)) end
end

-- Clause 4.4: a datagram with opcode 7 that is not of version 1, or too short for it, is answered by a classic error if
-- it has the length of a classic request, or of an extended one of another version.
local function escape_problem(request)
  local length, version = request.length, request.version
  local shaped = length % 4 == 1 and length > CLASSIC_HEADER and length <= CLASSIC_HEADER + 4 * CLASSIC_OPERANDS
  if version == VERSION then
    return problem("malformed", shaped and "error" or "silence",
      format("%s, of the 12 of an extended header", plural(length, "octet")))
  end
  local answered = shaped or (length >= EXTENDED_HEADER and length <= REQUEST_LIMIT)
  return problem("unsupported", answered and "error" or "silence", format("version %d of the extended form", version))
end

local function read_extended_header(request)
  local octets = request.octets
  request.form, request.version = "extended", floor(byte(octets, 1) / 16)
  if request.version ~= VERSION then return end
  request.operator, request.width, request.reserved = byte(octets, 2, 4)
  if request.length < EXTENDED_HEADER then return end
  request.id = #octets >= EXTENDED_HEADER and sub(octets, 5, 12) or nil
  request.operation = OPERATORS[request.operator]
  request.offset = EXTENDED_HEADER
  local rest, width = request.length - EXTENDED_HEADER, request.width or 0
  request.rest = width > 0 and rest % width or rest
  request.operands = width > 0 and floor((rest - request.rest) / width) or 0
end

-- The operand numbered `index` from 1 as a plain number, if it is below 2^40 and the capture holds it. Wider operands of
-- the extended form must then be sign extension above their last five octets.
local function small_operand(request, index)
  local octets, width = request.octets, request.width
  local from = request.offset + (index - 1) * width + 1
  local to = from + width - 1
  if to > #octets or width == 0 then return nil end
  if width == 4 then
    local a, b, c, d = byte(octets, from, to)
    local value = ((a * 256 + b) * 256 + c) * 256 + d
    if a >= 128 and request.form == "extended" then return value - WORD end
    return value
  end
  local sign = byte(octets, from) >= 128 and 255 or 0
  while to - from >= 5 do
    if byte(octets, from) ~= sign then return nil end
    from = from + 1
  end
  if (byte(octets, from) >= 128) ~= (sign == 255) then return nil end
  local value, weight = 0, 1
  for i = from, to do value, weight = value * 256 + byte(octets, i), weight * 256 end
  return byte(octets, from) >= 128 and value - weight or value
end

-- The operand numbered `index` from 1, or nil where the capture does not hold it.
local function operand(request, index)
  local values = request.values
  if not values then
    values = {}
    request.values = values
  end
  if values[index] then return values[index] end
  local from = request.offset + (index - 1) * request.width + 1
  local to = from + request.width - 1
  if to > #request.octets then return nil end
  if request.form == "classic" then
    values[index] = integer(natural_from_octets(request.octets, from, to), false)
  else
    values[index] = integer_from_octets(request.octets, from, to)
  end
  return values[index]
end

-- Its decimal text, or nil.
local function operand_text(request, index)
  local small = small_operand(request, index)
  if small then return format("%.0f", small) end
  local value = operand(request, index)
  return value and decimal(value)
end

-- In the order in which a server checks: the first failure decides the status.
local function extended_problem(request)
  local operation, count = request.operation, request.operands
  if request.length > REQUEST_LIMIT then
    return problem("unsupported", UNSUPPORTED, format("%d octets, %d at most", request.length, REQUEST_LIMIT))
  end
  if not request.id then return nil end  -- the capture does not hold the header
  if request.reserved ~= 0 then
    return problem("unsupported", UNSUPPORTED, format("Reserved is 0x%02x, not 0", request.reserved))
  end
  if not operation then
    return problem("unknown_operator", UNKNOWN_OPERATOR, format("unknown operator 0x%02x", request.operator))
  end
  if request.rest > 0 then
    return problem("malformed", MALFORMED, format("%s after the header, not a multiple of Width %d",
      plural(request.length - EXTENDED_HEADER, "octet"), request.width))
  end
  if count < operation.least or (operation.most and count > operation.most) then
    return problem("malformed", MALFORMED,
      format("%s for %s, which takes %d%s", plural(count, "operand"), WORDS[operation.symbol], operation.least,
        operation.most and "" or " or more"))
  end
  if #request.octets < request.length then return nil end
  if operation.symbol == "^" and operand(request, 2).negative then
    return problem("domain", DOMAIN, "a negative exponent")
  end
  if operation.symbol == "/" or operation.symbol == "%" then
    for i = 2, count do
      if #operand(request, i) == 0 then return problem("domain", DIVISION_BY_ZERO, "division by zero") end
    end
  end
end

-- `request` is a table without the fields of the extended form.
local function read_classic_request(request, octets, length, first)
  local rest, opcode = (length - CLASSIC_HEADER) % 4, floor(first / 2) % 8
  request.octets, request.length, request.form, request.opcode = octets, length, "classic", opcode
  request.format, request.unused, request.offset, request.width = first % 2, floor(first / 16), CLASSIC_HEADER, 4
  request.rest, request.operands = rest, floor((length - CLASSIC_HEADER - rest) / 4)
  request.symbol, request.outcome, request.values = CLASSIC_SYMBOLS[opcode], nil, nil
  request.problem = classic_problem(request)
  return request
end

-- `into` is a table to write a classic request to, instead of a new one.
local function read_request(octets, length, into)
  local first = byte(octets, 1)
  if first and floor(first / 2) % 8 ~= ESCAPE then return read_classic_request(into or {}, octets, length, first) end
  local request = { octets = octets, length = length, form = "classic", operands = 0, rest = 0 }
  if not first then
    if length == 0 then request.problem = problem("malformed", "silence", "an empty datagram") end
    return request
  end
  request.opcode, request.format = ESCAPE, first % 2
  read_extended_header(request)
  if request.offset then
    request.problem = extended_problem(request)
  else
    request.problem = escape_problem(request)
  end
  request.symbol = request.operation and request.operation.symbol
  return request
end

-- Clause 4.7: the first octet of a reply, a whole header, and a status, which is below 32.
local function looks_extended_reply(octets, length)
  local status = byte(octets, 2)
  return length >= EXTENDED_HEADER and marked_as_reply(octets) and status ~= nil and status < 32
end

local function is_number(text)
  return text == "0" or text:match("^%-?[1-9]%d*$") ~= nil
end

local function read_extended_result(reply, describes)
  local octets, from = reply.octets, EXTENDED_HEADER + 1
  local count = reply.length - EXTENDED_HEADER
  if count == 0 then
    reply.problem = "a success without a result"
  elseif #octets < reply.length or count > REPLY_LIMIT then
    return
  elseif reply.format == 0 then
    reply.result = decimal(integer_from_octets(octets, from, #octets))
    local first, second = byte(octets, from, from + 1)
    reply.wider = count > 1 and ((first == 0 and second < 128) or (first == 255 and second >= 128))
  else
    local text = sub(octets, from)
    reply.result = printable(text)
    reply.description = describes or not is_number(text)
    if reply.description and describes == false then reply.problem = "a result that is no decimal number" end
  end
end

-- `symbol` is the operator's, where the request was seen.
local function read_extended_reply(reply, symbol)
  local octets, length = reply.octets, reply.length
  reply.form = "extended"
  reply.status, reply.format, reply.reserved = byte(octets, 2, 4)
  reply.id = #octets >= EXTENDED_HEADER and sub(octets, 5, 12) or nil
  if not reply.id then return end
  if reply.success ~= (reply.status == OK) then
    reply.problem = format("S is %d, but Status is %d", reply.success and 1 or 0, reply.status)
  elseif reply.format > 1 then
    reply.problem = format("Format is %d, neither 0 nor 1", reply.format)
  elseif reply.success then
    local describes
    if symbol then describes = symbol == "?" end
    read_extended_result(reply, describes)
  else
    local from = EXTENDED_HEADER + 1
    if reply.format ~= 1 then reply.problem = "an error whose Format is not 1 (text)" end
    if reply.status == TOO_LARGE then
      if length < EXTENDED_HEADER + 4 then
        reply.problem = "status 4 without the count of octets needed"
      elseif #octets >= from + 3 then
        reply.needed, from = word_from_octets(octets, from), from + 4
      end
    end
    reply.text_from = from
  end
end

-- The payload of a classic reply as decimal text, without one trailing NUL, and whether it had that; nil if it is none.
local function decimal_text(payload)
  if #payload > CLASSIC_TEXT + 1 then return nil end
  local terminated = sub(payload, -1) == "\0"
  local text = terminated and sub(payload, 1, -2) or payload
  if #text > CLASSIC_TEXT or not is_number(text) then return nil end
  return text, terminated
end

-- `wanted` is the format that the request asked for, where that was seen. Without it four octets can be both: an
-- integer, and a text of four characters or of three and a NUL.
local function read_classic_result(reply, wanted)
  local octets, count = reply.octets, reply.length - CLASSIC_HEADER
  if #octets < reply.length then return end
  local text, terminated
  if wanted ~= 0 then text, terminated = decimal_text(sub(octets, 2, CLASSIC_TEXT + 3)) end
  if wanted == 0 and count ~= 4 then
    reply.problem = format("%s for an integer, which has 4", plural(count, "octet"))
  elseif wanted == 1 and not text then
    reply.problem = "a text that is no decimal number"
  elseif wanted ~= 1 and count == 4 then
    reply.result = format("%.0f", word_from_octets(octets, 2))
    reply.either = wanted == nil and text or nil
  elseif text then
    reply.result, reply.terminated = text, terminated
  else
    reply.problem = "neither a 32-bit integer nor a decimal text"
  end
end

-- `asked` and `symbol` are the format and the operator of the request, where that was seen: else `asked` is nil. Only the
-- request says how a classic reply is to be read.
local function read_reply(octets, length, asked, symbol)
  local first = byte(octets, 1)
  local reply = { octets = octets, length = length, form = "classic", success = nil, unused = nil, result = nil,
    problem = nil, text_from = nil }
  if not first then
    if length == 0 then reply.problem = "an empty datagram" end
    return reply
  end
  reply.success = first >= 128
  reply.unused = first % 128
  if looks_extended_reply(octets, length) then
    read_extended_reply(reply, asked and (symbol or "") or nil)
  elseif reply.success then
    read_classic_result(reply, asked)
  else
    reply.text_from = CLASSIC_HEADER + 1
  end
  if reply.text_from and #octets >= reply.text_from then
    reply.text = printable(sub(octets, reply.text_from, REPLY_LIMIT))
  end
  return reply
end

------------------------------------------------------------------------------------------------------------------------
-- Trains of segments
--
-- A sender can give the system several datagrams of one length in one message, of which the last may be shorter
-- (UDP_SEGMENT, udp(7)), and a receiver can take them so (UDP_GRO). A capture that is taken before the datagrams are
-- divided, or after they are joined, holds such a train as one large datagram: always on the loopback interface, which
-- never divides. It does not say where a segment ends: only the octets of the messages do.
------------------------------------------------------------------------------------------------------------------------

local MOST_SEGMENTS = 128  -- of one train: UDP_MAX_SEGMENTS since Linux 6.9, 64 before

-- The shortest length that divides the octets into messages that all pass `fits`; nil if there is none. `starts` is a
-- pattern of the octets with which a message starts, `shortest` the least length of one.
local function segment_length(octets, starts, shortest, fits)
  local count = #octets
  local at = find(octets, starts, math.max(shortest, math.ceil(count / MOST_SEGMENTS)) + 1)
  while at do
    local length, from = at - 1, 1
    while from <= count and fits(octets, from, math.min(from + length - 1, count)) do from = from + length end
    if from > count then return length end
    at = find(octets, starts, at + 1)
  end
end

-- Whether these octets are a reply as this specification sends it. Other servers' replies are never divided: their
-- first octet can be anything, so that octets after a reply could look like another one.
local function is_our_reply(octets, from, to)
  local count, first, status, form, reserved = to - from + 1, byte(octets, from, from + 3)
  if first ~= 0xFF and first ~= 0x7F then return false end
  if count >= EXTENDED_HEADER and status < 32 then
    if reserved ~= 0 or (first == 0xFF) ~= (status == OK) then return false end
    if form == 0 then return status == OK and count > EXTENDED_HEADER end
    local text = from + EXTENDED_HEADER + (status == TOO_LARGE and 4 or 0)
    return form == 1 and not find(sub(octets, text, to), "[^\32-\126\n]")
  end
  if first == 0x7F then return not find(sub(octets, from + 1, to), "[^\32-\126]") end
  return count == 5 or (count > 1 and is_number(sub(octets, from + 1, to)))
end

-- Whether these octets are an extended request of a known operator.
local function is_extended_request(octets, from, to)
  local first, operator, width, reserved = byte(octets, from, from + 3)
  local operation, rest = OPERATORS[operator], to - from + 1 - EXTENDED_HEADER
  if (first ~= 0x1E and first ~= 0x1F) or reserved ~= 0 or not operation or rest < 0 then return false end
  if width == 0 then return rest == 0 and operation.least == 0 end
  local count = rest / width
  return rest % width == 0 and count >= operation.least and (not operation.most or count <= operation.most)
end

-- Whether operands of a single request could have made this train by chance, or no request is so long. A short request
-- has few places for a second header; in a longer one two headers must also agree in Width.
local function could_be_operands(octets, length)
  if #octets > REQUEST_LIMIT or #octets > 2 * length or #octets <= 256 then return false end
  return byte(octets, 3) ~= byte(octets, length + 3)
end

-- Each has an identifier of its own.
local function extended_requests_length(octets)
  local length = segment_length(octets, "[\30\31]", EXTENDED_HEADER, is_extended_request)
  if not length or length == #octets or could_be_operands(octets, length) then return nil end
  local seen = {}
  for from = 1, #octets, length do
    local id = sub(octets, from + 4, from + 11)
    if seen[id] then return nil end
    seen[id] = true
  end
  return length
end

local LONGEST_CLASSIC = CLASSIC_HEADER + 4 * CLASSIC_OPERANDS

-- Whether the octets divide into classic sums and products of this length. That alone is no proof, because the octets
-- of a request with padding in its header, or of a buffer with zeros, do so too.
local function divides_into_classic(octets, length)
  local last = #octets % length
  if #octets <= length or #octets > length * MOST_SEGMENTS or (last > 0 and (last % 4 ~= 1 or last == 1)) then
    return false
  end
  for from = 1, #octets, length do
    if byte(octets, from) > 3 then return false end
  end
  return true
end

------------------------------------------------------------------------------------------------------------------------
-- The calculator
--
-- Each function takes a well-formed request and returns its exact result, or nil and why it was not computed. The block
-- keeps this file below the 200 local variables that Lua allows one function.
------------------------------------------------------------------------------------------------------------------------

local outcome, judge
do

local function fold(request, step)
  local total = operand(request, 1)
  for i = 2, request.operands do total = step(total, operand(request, i)) end
  return total
end

-- For the operators whose cost or size grows: computed while every value fits 64 bits.
local function fold_64(request, start, step)
  local total = start(operand(request, 1))
  for i = 1, request.operands do
    local value = operand(request, i)
    if not fits_64(value) then return nil, "an operand exceeds 64 bits" end
    if i > 1 then total = step(total, value) end
    if not fits_64(total) then return nil, "the result exceeds 64 bits" end
  end
  return total
end

local function magnitude(a)
  return a.negative and negate(a) or a
end

local function greatest_common_divisor(a, b)
  while #b > 0 do
    local _, rest = divide_naturals(a, b)
    a, b = b, rest
  end
  return integer(add_naturals(a, {}), false)
end

local function least_common_multiple(a, b)
  if #a == 0 or #b == 0 then return integer({}, false) end
  return integer(multiply_naturals(divide_naturals(a, greatest_common_divisor(a, b)), b), false)
end

local function power(request)
  local base, exponent = operand(request, 1), operand(request, 2)
  local one = integer({ 1 }, false)
  if #exponent == 0 then return one end
  if #base == 0 then return base end
  if #base == 1 and base[1] == 1 then
    return (base.negative and exponent[1] % 2 == 1) and base or one
  end
  local result = one
  if #exponent > 1 or exponent[1] > 64 then return nil, "the result exceeds 64 bits" end
  for _ = 1, exponent[1] do
    result = multiply(result, base)
    if not fits_64(result) then return nil, "the result exceeds 64 bits" end
  end
  return result
end

-- Bit by bit, on two's complement as wide as the operands.
local function bitwise(request, combine)
  local width, octets, offset = request.width, request.octets, request.offset
  local total = { byte(octets, offset + 1, offset + width) }
  for i = 2, request.operands do
    local from = offset + (i - 1) * width
    for j = 1, width do total[j] = combine(total[j], byte(octets, from + j)) end
  end
  return integer_from_octets(char(unpack_list(total)), 1, width)
end

local CALCULATE = {
  ["+"] = function(request) return fold(request, add) end,
  ["*"] = function(request) return fold(request, multiply) end,
  ["-"] = function(request)
    if request.operands == 1 then return negate(operand(request, 1)) end
    return fold(request, function(a, b) return add(a, negate(b)) end)
  end,
  ["<"] = function(request) return fold(request, function(a, b) return compare(b, a) < 0 and b or a end) end,
  [">"] = function(request) return fold(request, function(a, b) return compare(b, a) > 0 and b or a end) end,
  ["&"] = function(request) return bitwise(request, and_octets) end,
  ["|"] = function(request) return bitwise(request, function(a, b) return a + b - and_octets(a, b) end) end,
  ["~"] = function(request) return bitwise(request, function(a, b) return a + b - 2 * and_octets(a, b) end) end,
  ["/"] = function(request)
    return fold_64(request, function(a) return a end, function(a, b) return (divide(a, b)) end)
  end,
  ["%"] = function(request)
    return fold_64(request, function(a) return a end, function(a, b) return select(2, divide(a, b)) end)
  end,
  ["g"] = function(request) return fold_64(request, magnitude, greatest_common_divisor) end,
  ["l"] = function(request) return fold_64(request, magnitude, least_common_multiple) end,
  ["^"] = power,
}

-- Sums and products of small operands as doubles, which is faster; nil where an operand or the result is too large.
local function small_sum(request)
  local total = 0.0
  for i = 1, request.operands do
    local value = small_operand(request, i)
    if not value then return nil end
    total = total + value
  end
  return total
end

local function small_product(request)
  local total = 1.0
  for i = 1, request.operands do
    local value = small_operand(request, i)
    if not value then return nil end
    total = total * value
    if total >= EXACT or total <= -EXACT then return nil end
  end
  return total + 0  -- not -0
end

local SMALL = { ["+"] = small_sum, ["*"] = small_product }

-- A classic outcome: `text` is exact, `word` the value modulo 2^32.
local function classic_outcome(request, text, word)
  if request.format == 0 then
    local fits = #text < 10 or (#text == 10 and text <= "4294967295")
    if fits then return { result = text, payload = word_octets(word) } end
    return { error = true, exact = text, wrapped = word }
  end
  if #text > CLASSIC_TEXT then return { error = true, exact = text } end
  return { result = text, payload = text, wrapped = word }
end

-- The answer that the specification prescribes. One of
--   result    the exact decimal text, and for a classic integer `payload`, its four octets
--   error     a classic error; `wrapped` holds the value modulo 2^32 that a server started with --wrap sends instead
--   status    the status of an extended error
--   silence   no answer at all
--   unchecked why the answer is not known
local function evaluate(request)
  local trouble = request.problem
  if trouble then
    if trouble.answer == "silence" then return { silence = true } end
    if trouble.answer == "error" then return { error = true } end
    return { status = trouble.answer }
  end
  if #request.octets < request.length then return { unchecked = "the capture truncated the request" } end
  if request.symbol == "?" then return { unchecked = "a description" } end
  local text, word
  local small = SMALL[request.symbol] and SMALL[request.symbol](request)
  if small then
    text, word = format("%.0f", small), small % WORD
  else
    local number, reason = CALCULATE[request.symbol](request)
    if not number then return { unchecked = reason } end
    text, word = decimal(number), modulo_word(number)
  end
  if request.form == "extended" then return { result = text } end
  return classic_outcome(request, text, word)
end

-- The same, computed once for each reading of a request.
function outcome(request)
  request.outcome = request.outcome or evaluate(request)
  return request.outcome
end

-- Whether the text is the value modulo 2^32 instead, as C's unsigned or signed int prints it.
local function is_wrapped(text, word)
  return word ~= nil and (text == format("%.0f", word) or (word >= WORD / 2 and text == format("%.0f", word - WORD)))
end

-- "right", "wrong", "wrapped" (modulo 2^32) or "not checked", and why.
function judge(request, reply)
  local wanted = outcome(request)
  if wanted.unchecked then return "not checked", wanted.unchecked end
  if wanted.silence then return "wrong", "no answer was owed" end
  if #reply.octets < reply.length then return "not checked", "the capture truncated the reply" end
  if reply.problem then return "wrong", reply.problem end
  local text = reply.result
  if reply.success and not text then return "not checked", "the reply is too long" end
  if request.id and reply.form == "classic" then return "not checked", "a classic reply" end
  if reply.success then
    if text == wanted.result then return "right" end
    if is_wrapped(text, wanted.wrapped) then
      local exact = wanted.exact or wanted.result
      return "wrapped", format("%s modulo 2^32", shorten(exact))
    end
    if wanted.result then return "wrong", format("%s expected", shorten(wanted.result)) end
    if wanted.error then return "wrong", "an error expected" end
    return "wrong", format("status %d (%s) expected", wanted.status, STATUS[wanted.status])
  end
  if reply.form == "classic" then
    if wanted.error then return "right" end
    return "wrong", format("%s expected", shorten(wanted.result))
  end
  if reply.status == wanted.status then return "right" end
  if wanted.status then return "wrong", format("status %d (%s) expected", wanted.status, STATUS[wanted.status]) end
  if reply.status == MALFORMED or reply.status == DIVISION_BY_ZERO or reply.status == DOMAIN then
    return "wrong", format("%s expected", shorten(wanted.result))
  end
  return "not checked", "the server's own limits"
end

end  -- of the block

------------------------------------------------------------------------------------------------------------------------
-- Matching replies to requests
--
-- Every datagram is recorded when it is first seen, in the order of the capture; later looks read the record. Captures
-- hold millions, so each step takes constant time, and what is kept is little: records and exchanges are numbers, and
-- what is known of them is in one array for each property, which costs a quarter of one table for each of them.
--   flow       what one client port asks one server port; its name is a number made of the two endpoints'
--   exchange   one request with its repeats and its replies
--   record     one datagram in one frame; those of replies have a status
------------------------------------------------------------------------------------------------------------------------

local state, records, exchanges

local function forget_everything()
  state = { flows = {}, frames = {}, servers = {}, last = {}, addresses = {}, address_count = 0, endpoints = {},
    endpoint_count = 0, first = {} }
  -- `asked` counts the requests that were seen before a reply, and `latest` is the last of them. The last line is for
  -- the few that have such a property. `train`, of the first segment's record, has those of all segments.
  records = { count = 0, frame = {}, path = {}, time = {}, exchange = {}, nth = {}, status = {}, verdict = {},
    asked = {}, latest = {}, beside = {}, later = {}, answers = {}, reused = {}, copy_of = {}, train = {} }
  exchanges = { count = 0, kept = {}, length = {}, name = {}, payload = {}, first = {}, last = {}, requests = {},
    first_reply = {}, last_reply = {}, replies = {} }
end
forget_everything()

-- A number for an address. Its text alone is not enough: it becomes a name when names are resolved, perhaps in the
-- middle of the capture, and two addresses may have the same name.
-- Most captures have few addresses, and comparing one is faster than making text of it: so the first few are tried
-- before.
local FEW = 4

local function address_number(address)
  local first = state.first
  for i = 1, #first do
    if first[i].address == address then return first[i].number end
  end
  local text = tostring(address)
  local known = state.addresses[text]
  if not known then
    known = {}
    state.addresses[text] = known
  end
  for i = 1, #known do
    if known[i].address == address then return known[i].number end
  end
  local number
  if not (text:match("^[%x.:]*:[%x.:]*$") or text:match("^[%d.]+$")) then
    for _, others in pairs(state.addresses) do
      for i = 1, #others do
        if others[i].address == address then number = others[i].number end
      end
    end
  end
  if not number then
    number = state.address_count + 1
    state.address_count = number
  end
  known[#known + 1] = { address = address, number = number }
  if #first < FEW then first[#first + 1] = known[#known] end
  return number
end

local function endpoint(address, port)
  local key = address_number(address) * 65536 + port
  local number = state.endpoints[key]
  if not number then
    number = state.endpoint_count + 1
    state.endpoints[key], state.endpoint_count = number, number
  end
  return number
end

-- The names of the flow from the source to the destination, and of the one in the other direction.
local function paths(pinfo, view)
  local here, there = endpoint(pinfo.src, view.from_port), endpoint(pinfo.dst, view.to_port)
  return here * 67108864 + there, there * 67108864 + here
end

-- Seconds since the first frame. Relative times keep the nanoseconds that absolute times lose in a double; they jump
-- where the user sets a time reference, which a comparison with the absolute times shows.
local function seconds_of(pinfo)
  local absolute, relative = pinfo.abs_ts, pinfo.rel_ts
  state.epoch = state.epoch or absolute - relative
  local since = absolute - state.epoch
  return math.abs(since - relative) < 0.001 and relative or since
end

-- Queues of exchanges by key, oldest first, from which answered exchanges are removed when they reach the front. Most
-- keys have one exchange, which is then stored without a queue.
local function oldest_open(queues, key)
  local queue, replies = queues[key], exchanges.replies
  if type(queue) == "number" then
    if replies[queue] == 0 then return queue end
  elseif queue then
    while queue.at <= queue.last do
      local exchange = queue[queue.at]
      if replies[exchange] == 0 then return exchange, queue end
      queue[queue.at] = nil
      queue.at = queue.at + 1
    end
  end
  queues[key] = nil
end

local function enqueue(queues, key, exchange)
  local oldest, queue = oldest_open(queues, key)
  if not oldest then
    queues[key] = exchange
    return nil
  end
  if not queue then
    queue = { at = 1, last = 1, oldest }
    queues[key] = queue
  end
  queue.last = queue.last + 1
  queue[queue.last] = exchange
  return queue
end

-- Keys of a flow's queue `owed` besides payloads: a classic error, any answer, none.
local CLASSIC_ERROR, ANY_ANSWER, NO_ANSWER = 1, 2, 3

-- `owed` holds the open exchanges by the answer that they are owed; `sent` the open classic ones by their octets;
-- `by_id` the extended ones, once there is one; `answered` those of which a classic answer was seen, by its octets,
-- once there are two, as most flows have one exchange: then `exchange` and `answer` are enough. `undivided` is for
-- trains of classic requests, of which `segment` is the length.
local function new_flow()
  return { owed = {}, sent = {}, by_id = nil, answered = nil, answer = nil, exchange = nil, undivided = nil,
    segment = nil }
end

local function answered_before(flow, octets)
  if flow.answer == octets then return flow.exchange end
  return flow.answered and flow.answered[octets]
end

local function remember_answer(flow, exchange, octets)
  if flow.answer and flow.answer ~= octets then
    flow.answered = flow.answered or {}
    flow.answered[flow.answer] = flow.exchange
  end
  flow.answer, flow.exchange = octets, exchange
end

local function is_open(flow)
  return flow ~= nil and (oldest_open(flow.owed, ANY_ANSWER) or oldest_open(flow.owed, NO_ANSWER)) ~= nil
end

-- What of a request is kept: all of it, if it is one that a server computes.
local function kept_of(octets)
  return sub(octets, 1, REQUEST_LIMIT + 1)
end

local function request_of(exchange)
  return read_request(exchanges.kept[exchange], exchanges.length[exchange])
end

-- What the request asked for, without reading all of it again: see read_reply().
local function asked_of(exchange)
  local first, operator = byte(exchanges.kept[exchange], 1, 2)
  if not first then return nil end
  local extended = first == 0x1E or first == 0x1F
  return first % 2, extended and operator and char(operator) or nil
end

-- Classic replies carry no identifier: an exchange is found by the payload that answers it correctly or, from a server
-- that wraps, by the value modulo 2^32, as four octets or as C's unsigned or signed int prints it.
local function owe_classic_answer(flow, exchange, wanted)
  local owed = flow.owed
  enqueue(owed, wanted.payload or CLASSIC_ERROR, exchange)
  if not wanted.wrapped then return end
  if wanted.error then
    enqueue(owed, word_octets(wanted.wrapped), exchange)
    return
  end
  local text = format("%.0f", wanted.wrapped)
  if text ~= wanted.payload then enqueue(owed, text, exchange) end
  if wanted.wrapped >= WORD / 2 then enqueue(owed, format("%.0f", wanted.wrapped - WORD), exchange) end
end

local function new_exchange(flow, octets, request)
  local exchange = exchanges.count + 1
  exchanges.count = exchange
  exchanges.kept[exchange], exchanges.length[exchange] = kept_of(octets), request.length
  exchanges.name[exchange] = request.symbol and WORDS[request.symbol]
    or (request.problem and request.problem.kind:gsub("_", " ")) or "truncated"
  exchanges.requests[exchange], exchanges.replies[exchange] = 0, 0
  exchanges.first_reply[exchange], exchanges.last_reply[exchange] = 0, 0
  exchanges.payload[exchange] = false
  if not request.id then
    local wanted = outcome(request)
    exchanges.payload[exchange] = wanted.payload or (wanted.error and CLASSIC_ERROR) or NO_ANSWER
    if wanted.payload or wanted.error then owe_classic_answer(flow, exchange, wanted) end
  end
  local silent = request.problem and request.problem.answer == "silence"
  enqueue(flow.owed, silent and NO_ANSWER or ANY_ANSWER, exchange)
  return exchange
end

-- A client that repeats a classic request waits before it does; one that sends copies without waiting asks again, and
-- each copy is owed a reply of its own. So copies are taken in rounds: a pause begins a round, in which each copy
-- repeats one of the exchanges that are still open from the rounds before, oldest first, until none is left.
local function repeated_classic(flow, kept, now, pause)
  local exchange, queue = oldest_open(flow.sent, kept)
  if not exchange then return nil end
  local last, time = exchanges.last, records.time
  if not queue then return now - time[last[exchange]] >= pause and exchange or nil end
  if now - queue.heard >= pause then queue.round, queue.next = now, queue.at end
  queue.heard = now
  queue.next = math.max(queue.next, queue.at)
  while queue.next <= queue.last do
    local candidate = queue[queue.next]
    if exchanges.replies[candidate] == 0 then
      if time[last[candidate]] >= queue.round then return nil end
      queue.next = queue.next + 1
      return candidate
    end
    queue.next = queue.next + 1
  end
end

local function wait_classic(flow, exchange, now)
  local kept = exchanges.kept[exchange]
  local queue = enqueue(flow.sent, kept, exchange)
  if queue and not queue.heard then
    queue.heard, queue.next = now, queue.at
    queue.round = records.time[exchanges.last[queue[queue.at]]]
  end
end

local function exchange_of_request(record, flow, octets, request, pause)
  local now, kept = records.time[record], kept_of(octets)
  if not request.id then
    local repeated = repeated_classic(flow, kept, now, pause)
    if repeated then return repeated end
    local exchange = new_exchange(flow, octets, request)
    wait_classic(flow, exchange, now)
    return exchange
  end
  flow.by_id = flow.by_id or {}
  local before = flow.by_id[request.id]
  if before and exchanges.kept[before] == kept then
    local last = exchanges.last[before]
    if now - records.time[last] < pause then records.copy_of[record] = last end
    return before
  end
  records.reused[record] = before and exchanges.first[before] or nil
  local exchange = new_exchange(flow, octets, request)
  flow.by_id[request.id] = exchange
  return exchange
end

local function record_request(record, flow, octets, request, pause)
  local exchange = exchange_of_request(record, flow, octets, request, pause)
  local nth = exchanges.requests[exchange] + 1
  exchanges.requests[exchange] = nth
  if nth == 1 then
    exchanges.first[exchange] = record
  else
    records.later[exchanges.last[exchange]] = record
  end
  exchanges.last[exchange] = record
  records.exchange[record], records.nth[record] = exchange, nth
end

local function new_record(frame, path, time)
  local record = records.count + 1
  records.count = record
  records.frame[record], records.path[record], records.time[record] = frame, path, time
  records.exchange[record], records.nth[record], records.status[record] = false, 0, false
  records.verdict[record], records.asked[record], records.latest[record] = false, 0, 0
  return record
end

-- The octets of a train of classic requests could also be one malformed request, and their answers decide: the request
-- is divided when the result of its first segment comes. Only a few are compared, and each with a few answers.
local UNDIVIDED, COMPARED = 8, 8

local function note_undivided(record, flow, message)
  local octets, trouble = message.octets, message.request.problem
  if not trouble or (trouble.kind ~= "ragged" and trouble.kind ~= "too_many") or #octets < message.length then return end
  local list = flow.undivided or {}
  flow.undivided = list
  list[#list + 1] = { record = record, octets = octets, compared = 0 }
  if #list > UNDIVIDED then table.remove(list, 1) end
end

local function divide_request(flow, record, octets, length)
  exchanges.replies[records.exchange[record]] = 1  -- no answer is for the undivided one
  local train = { length = length }
  for from = 1, #octets, length do
    local part = sub(octets, from, from + length - 1)
    local segment = from == 1 and record or new_record(records.frame[record], records.path[record], records.time[record])
    record_request(segment, flow, part, read_request(part, #part), math.huge)
    train[#train + 1] = segment
  end
  records.train[record], flow.segment = train, length
end

local function divided_by_answer(flow, payload)
  local list = flow.undivided
  for i = #list, 1, -1 do
    local octets = list[i].octets
    for length = CLASSIC_HEADER + 4, math.min(LONGEST_CLASSIC, #octets - CLASSIC_HEADER), 4 do
      if divides_into_classic(octets, length)
        and outcome(read_request(sub(octets, 1, length), length)).payload == payload then
        divide_request(flow, table.remove(list, i).record, octets, length)
        return true
      end
    end
    list[i].compared = list[i].compared + 1
    if list[i].compared == COMPARED then table.remove(list, i) end
  end
  return false
end

-- The exchange that a classic reply answers: the oldest open one that it answers correctly; else a late one that the
-- same octets answered before, if that was sent again; else the oldest open one, of whatever form, because a peer that
-- knows only the classic form answers an extended request so; else one that is owed no answer.
local function classic_exchange(flow, octets)
  local owed, exact = flow.owed, nil
  if byte(octets, 1) < 128 then
    exact = oldest_open(owed, CLASSIC_ERROR)
  else
    local payload = sub(octets, 2)
    exact = oldest_open(owed, payload)
    if not exact and sub(payload, -1) == "\0" then exact = oldest_open(owed, sub(payload, 1, -2)) end
    if not exact and flow.undivided and divided_by_answer(flow, payload) then exact = oldest_open(owed, payload) end
  end
  if exact then return exact end
  local before = answered_before(flow, octets)
  if before and exchanges.requests[before] > exchanges.replies[before] then return before end
  return oldest_open(owed, ANY_ANSWER) or oldest_open(owed, NO_ANSWER) or before
end

-- The name under which the statistics count a reply.
local function status_of(octets, extended)
  if octets == "" then return "empty" end
  if extended then
    local status = byte(octets, 2)
    return format("%d %s", status, STATUS[status] or "not assigned")
  end
  return byte(octets, 1) >= 128 and "classic success" or "classic error"
end

local function record_reply(record, flow, octets, length)
  local extended = looks_extended_reply(octets, length)
  records.status[record] = status_of(octets, extended)
  if not flow or octets == "" then return end
  local exchange
  if extended then
    exchange = flow.by_id and flow.by_id[sub(octets, 5, 12)]
  else
    exchange = classic_exchange(flow, octets)
    if exchange then remember_answer(flow, exchange, octets) end
  end
  if not exchange then return end
  local nth = exchanges.replies[exchange] + 1
  exchanges.replies[exchange] = nth
  if nth == 1 then
    exchanges.first_reply[exchange] = record
  else
    records.later[exchanges.last_reply[exchange]] = record
  end
  exchanges.last_reply[exchange] = record
  records.exchange[record], records.nth[record] = exchange, nth
  records.asked[record], records.latest[record] = exchanges.requests[exchange], exchanges.last[exchange]
  if exchanges.payload[exchange] then
    oldest_open(flow.owed, exchanges.payload[exchange])
    oldest_open(flow.sent, exchanges.kept[exchange])
  end
end

-- Which way a datagram goes. Direction is not in the octets (clause 4.7), except in the replies of this specification;
-- so ports decide: those of the preference, then (Decode As) the one that was matched, or what this pair did before.
local function direction(octets, forward, backward, from_server, to_server, matched_source)
  if marked_as_reply(octets) then
    if not from_server and not to_server then state.servers[backward] = true end
    return "reply"
  end
  if from_server ~= to_server then return from_server and "reply" or "request" end
  if from_server then return is_open(state.flows[backward]) and "reply" or "request" end
  if state.servers[backward] then return "reply" end
  if matched_source and not state.servers[forward] then return "reply" end
  state.servers[forward] = true
  return "request"
end

-- The records of one frame, which has several where packets travel in packets, are linked by `beside`.
local function find_record(frame, path)
  local record = state.frames[frame]
  while record and records.path[record] ~= path do record = records.beside[record] end
  return record
end

local function kind_of(record)
  return records.status[record] and "reply" or "request"
end

-- The length of the segments, if the request is a train of them: extended ones, or classic ones where an answer proved
-- that this flow has such trains.
local function request_segment_length(octets, flow)
  local first = byte(octets, 1)
  if first == 0x1E or first == 0x1F then
    if #octets < 2 * EXTENDED_HEADER then return nil end
    local length = extended_requests_length(octets)
    local before = length and flow.by_id and flow.by_id[sub(octets, 5, 12)]
    return not (before and exchanges.kept[before] == kept_of(octets)) and length or nil
  end
  local length = flow.segment
  local ragged = length and ((#octets - CLASSIC_HEADER) % 4 > 0 or #octets > LONGEST_CLASSIC)
  return ragged and divides_into_classic(octets, length) and length or nil
end

-- The same of a reply. One that is correct as a whole is one reply; and five octets are an integer, unless two texts are
-- owed.
local function reply_segment_length(octets, flow)
  if #octets < 4 or not marked_as_reply(octets) then return nil end
  local length = segment_length(octets, "[\127\255]", 2, is_our_reply)
  if not length then return nil end
  if #octets == CLASSIC_HEADER + 4 then
    local owed = flow and flow.owed or {}
    local texts = oldest_open(owed, sub(octets, 2, length)) and oldest_open(owed, sub(octets, length + 2))
    return texts and not oldest_open(owed, sub(octets, 2)) and length or nil
  end
  if flow and flow.by_id and looks_extended_reply(octets, #octets) then
    local exchange = flow.by_id[sub(octets, 5, 12)]
    if exchange and judge(request_of(exchange), read_reply(octets, #octets, asked_of(exchange))) == "right" then
      return nil
    end
  end
  return length
end

local latest_request = {}  -- of the classic form, as far as it is shown: a new table for each costs more than the rest

-- The record of a datagram, or of a segment. `message` has its octets, and is given what was read of it.
local function track_message(message, frame, time, forward, backward, kind, between_servers, pause)
  local record = new_record(frame, forward, time)
  local pair = forward < backward and forward or backward
  local last = state.last[pair]
  if kind == "request" then
    local flow = state.flows[forward]
    message.request = read_request(message.octets, message.length, latest_request)
    record_request(record, flow, message.octets, message.request, pause)
    if message.request.problem and message.request.form == "classic" then note_undivided(record, flow, message) end
  else
    record_reply(record, state.flows[backward], message.octets, message.length)
  end
  local after_reply = last and records.status[last] and records.path[last] == backward
  local is_reply = records.status[record]
  if after_reply and ((is_reply and not records.exchange[record]) or (not is_reply and between_servers)) then
    records.answers[record] = records.frame[last]
  end
  state.last[pair] = record
  return record
end

-- The record of this datagram, or of the first segment of this train, made when it is seen for the first time.
local function track(pinfo, view, forward, backward, kind, between_servers, pause)
  local octets, frame, time, record = view.octets, view.frame, seconds_of(pinfo), nil
  local length
  if kind == "request" then
    local flow = state.flows[forward]
    if not flow then
      flow = new_flow()
      state.flows[forward] = flow
    end
    length = #octets == view.length and request_segment_length(octets, flow)
  else
    length = #octets == view.length and reply_segment_length(octets, state.flows[backward])
  end
  if length then
    local train = { length = length }
    for from = 1, #octets, length do
      local part = sub(octets, from, from + length - 1)
      local message = { octets = part, length = #part }
      train[#train + 1] = track_message(message, frame, time, forward, backward, kind, between_servers, pause)
    end
    record = train[1]
    records.train[record] = train
  else
    record = track_message(view, frame, time, forward, backward, kind, between_servers, pause)
  end
  records.beside[record] = state.frames[frame]
  state.frames[frame] = record
  return record
end

------------------------------------------------------------------------------------------------------------------------
-- Wireshark: the protocol, its fields and its expert items
------------------------------------------------------------------------------------------------------------------------

local calc6 = Proto("calc6", "Calculator over UDP")

local OPCODE_NAMES, OPERATOR_NAMES = {}, {}
for opcode = 0, 7 do OPCODE_NAMES[opcode] = OPCODES[opcode] or "unknown" end
for octet, operation in pairs(OPERATORS) do
  OPERATOR_NAMES[octet] = format("%s (%s)", operation.symbol, operation.name)
end

local fields = {
  form = ProtoField.string("calc6.form", "Form"),
  message = ProtoField.string("calc6.message", "Message"),
  unused = ProtoField.uint8("calc6.unused", "Unused", base.DEC, nil, 0xF0),
  opcode = ProtoField.uint8("calc6.opcode", "Opcode", base.DEC, OPCODE_NAMES, 0x0E),
  format = ProtoField.uint8("calc6.format", "Format", base.DEC, FORMATS, 0x01),
  version = ProtoField.uint8("calc6.version", "Version", base.DEC, nil, 0xF0),
  operator = ProtoField.uint8("calc6.operator", "Operator", base.HEX, OPERATOR_NAMES),
  op = ProtoField.string("calc6.op", "Operation"),
  width = ProtoField.uint8("calc6.width", "Width", base.DEC),
  reserved = ProtoField.uint8("calc6.reserved", "Reserved", base.HEX),
  id = ProtoField.uint64("calc6.id", "Request identifier", base.HEX),
  operands = ProtoField.uint32("calc6.operands", "Operands", base.DEC),
  operand = ProtoField.double("calc6.operand", "Operand"),
  operand_text = ProtoField.string("calc6.operand.text", "Operand"),
  segment = ProtoField.uint32("calc6.segment", "Segment", base.DEC),
  segments = ProtoField.uint32("calc6.segments", "Segments", base.DEC),
  success = ProtoField.bool("calc6.success", "Success", 8, nil, 0x80),
  reply_unused = ProtoField.uint8("calc6.unused", "Unused", base.DEC, nil, 0x7F),
  ones = ProtoField.uint8("calc6.ones", "Ones", base.DEC, nil, 0x7F),
  status = ProtoField.uint8("calc6.status", "Status", base.DEC, STATUS),
  reply_format = ProtoField.uint8("calc6.format", "Format", base.DEC, FORMATS),
  needed = ProtoField.uint32("calc6.needed", "Octets needed", base.DEC),
  result = ProtoField.double("calc6.result", "Result"),
  result_text = ProtoField.string("calc6.result.text", "Result"),
  text = ProtoField.string("calc6.text", "Error text"),
  rest = ProtoField.bytes("calc6.rest", "No field"),
  reply_in = ProtoField.framenum("calc6.reply_in", "Reply in frame", base.NONE, frametype.RESPONSE),
  request_in = ProtoField.framenum("calc6.request_in", "Request in frame", base.NONE, frametype.REQUEST),
  time = ProtoField.relative_time("calc6.time", "Time since the request"),
  time_repeat = ProtoField.relative_time("calc6.time.repeat", "Time since the last repeat"),
  sent = ProtoField.uint32("calc6.sent", "Times sent", base.DEC),
  replies = ProtoField.uint32("calc6.replies", "Replies", base.DEC),
  repeat_of = ProtoField.framenum("calc6.repeat_of", "Retransmission of frame", base.NONE, frametype.RETRANS_PREV),
  repeated_in = ProtoField.framenum("calc6.repeated_in", "Retransmitted in frame", base.NONE, frametype.RETRANS_NEXT),
  copy_of = ProtoField.framenum("calc6.copy_of", "Copy of frame", base.NONE),
  duplicate_of = ProtoField.framenum("calc6.duplicate_of", "Duplicate of the reply in frame", base.NONE),
  answers = ProtoField.framenum("calc6.answers", "Answers the reply in frame", base.NONE),
  check = ProtoField.string("calc6.check", "Recomputed"),
  expected = ProtoField.double("calc6.expected", "Expected result"),
  expected_text = ProtoField.string("calc6.expected.text", "Expected result"),
}

local FIELD_ORDER = {}
for _, field in pairs(fields) do FIELD_ORDER[#FIELD_ORDER + 1] = field end
calc6.fields = FIELD_ORDER

local MALFORMED_GROUP, PROTOCOL, SEQUENCE = expert.group.MALFORMED, expert.group.PROTOCOL, expert.group.SEQUENCE
local CODE = expert.group.RESPONSE_CODE
local CHAT, NOTE, WARN, ERROR = expert.severity.CHAT, expert.severity.NOTE, expert.severity.WARN, expert.severity.ERROR

-- The names of problem() in the upper half are the keys here.
local experts = {
  malformed = ProtoExpert.new("calc6.malformed", "Malformed", MALFORMED_GROUP, ERROR),
  ragged = ProtoExpert.new("calc6.ragged", "Not a whole number of operands", MALFORMED_GROUP, ERROR),
  no_operands = ProtoExpert.new("calc6.no_operands", "No operands", MALFORMED_GROUP, ERROR),
  too_many = ProtoExpert.new("calc6.too_many", "Over 64 operands", MALFORMED_GROUP, ERROR),
  unknown_opcode = ProtoExpert.new("calc6.unknown_opcode", "Unknown opcode", PROTOCOL, WARN),
  unknown_operator = ProtoExpert.new("calc6.unknown_operator", "Unknown operator", PROTOCOL, WARN),
  unsupported = ProtoExpert.new("calc6.unsupported", "Unsupported", PROTOCOL, WARN),
  domain = ProtoExpert.new("calc6.domain", "Outside the operator's domain", PROTOCOL, NOTE),
  overflow = ProtoExpert.new("calc6.overflow", "The exact result does not fit a classic reply", PROTOCOL, WARN),
  wrong = ProtoExpert.new("calc6.wrong", "Wrong result", PROTOCOL, ERROR),
  error = ProtoExpert.new("calc6.error", "Error reply", CODE, NOTE),
  classic_peer = ProtoExpert.new("calc6.classic_peer", "A classic answer to an extended request", PROTOCOL, NOTE),
  long_reply = ProtoExpert.new("calc6.long_reply", "Reply longer than three times its request", PROTOCOL, ERROR),
  reply_to_reply = ProtoExpert.new("calc6.reply_to_reply", "Reply to a reply", PROTOCOL, ERROR),
  stray = ProtoExpert.new("calc6.stray", "Reply sent to a server", PROTOCOL, WARN),
  unanswered = ProtoExpert.new("calc6.unanswered", "No reply in this capture", SEQUENCE, WARN),
  silence = ProtoExpert.new("calc6.silence", "No reply, and none is owed", SEQUENCE, CHAT),
  copy = ProtoExpert.new("calc6.copy", "The same request again, too early for a retransmission", SEQUENCE, NOTE),
  retransmission = ProtoExpert.new("calc6.retransmission", "Retransmission", SEQUENCE, NOTE),
  reused = ProtoExpert.new("calc6.reused", "Identifier of an earlier, different request", SEQUENCE, WARN),
  orphan = ProtoExpert.new("calc6.orphan", "No request in this capture", SEQUENCE, NOTE),
  duplicate = ProtoExpert.new("calc6.duplicate", "Duplicate reply", SEQUENCE, NOTE),
  liberty = ProtoExpert.new("calc6.liberty", "Not as this specification sends it", PROTOCOL, CHAT),
  train = ProtoExpert.new("calc6.train", "A train of segments", SEQUENCE, CHAT),
  cut = ProtoExpert.new("calc6.cut", "Truncated by the capture", expert.group.UNDECODED, NOTE),
}

local EXPERT_ORDER = {}
for _, item in pairs(experts) do EXPERT_ORDER[#EXPERT_ORDER + 1] = item end
calc6.experts = EXPERT_ORDER

-- TreeItem.referenced, looked up once, because that takes longer than most calls, and this dissector's handle.
local referenced, handle

-- A view is a datagram with the tree item of the protocol. A field is added only where it is looked at: the tree is
-- visible, or a filter, a column or a tap refers to the field. Then `watched` is true, whatever the field.
local function wanted(view, field)
  return view.visible or (view.watched and referenced(view.tree, field))
end

local function remark(view, kind, text)
  if text then
    view.item:add_proto_expert_info(experts[kind], text)
  else
    view.item:add_proto_expert_info(experts[kind])
  end
end

-- Adds a field where the capture holds at least one of its octets.
local function show(view, field, offset, count, ...)
  if count <= 0 or not wanted(view, field) then return nil end
  local held = #view.octets - offset
  if held <= 0 then return nil end
  return view.item:add(field, view.tvb:range(offset, math.min(count, held)), ...)
end

-- Adds a field that is not in the octets but follows from them.
local function infer(view, field, ...)
  if not wanted(view, field) then return nil end
  return view.item:add(field, ...):set_generated()
end

-- Adds an integer twice: as a number, which filters compare, and as its exact decimal text. The tree shows the number
-- if that is exact, else the text. `place` is { offset, count } of its octets, or nil if it is not in the octets.
local function show_integer(view, number_field, text_field, place, label, text)
  if not (wanted(view, number_field) or wanted(view, text_field)) then return end
  local function add(field, value)
    local item
    if place then
      item = show(view, field, place[1], place[2], value, format("%s: %s", label, text))
    else
      item = infer(view, field, value)
      if item then item:set_text(format("%s: %s", label, text)) end
    end
    return item
  end
  local number = tonumber(text) + 0.0
  local exact = number < EXACT and number > -EXACT
  local hidden = add(exact and text_field or number_field, exact and text or number)
  if hidden then hidden:set_hidden() end
  add(exact and number_field or text_field, exact and number or text)
end

local function nstime(seconds)
  local whole = floor(seconds)
  local nanoseconds = floor((seconds - whole) * 1e9 + 0.5)
  if nanoseconds >= 1000000000 then whole, nanoseconds = whole + 1, 0 end
  if whole < 0 and nanoseconds > 0 then whole, nanoseconds = whole + 1, nanoseconds - 1000000000 end
  return NSTime.new(whole, nanoseconds)
end

local function duration(seconds)
  if math.abs(seconds) >= 1 then return format("%.3f s", seconds) end
  return format("%.3f ms", seconds * 1000)
end

------------------------------------------------------------------------------------------------------------------------
-- The tree and the Info column of a request
------------------------------------------------------------------------------------------------------------------------

local LISTED_IN_INFO = 90  -- characters of operands, then dots

-- Problems of requests whose operands can be listed nevertheless.
local WELL_SHAPED = { domain = true, unknown_opcode = true, unknown_operator = true }

local function operand_list(request)
  if request.operands == 2 and request.width <= 4 then
    local first, second = small_operand(request, 1), small_operand(request, 2)
    if first and second then return format("%.0f, %.0f", first, second) end
  end
  local parts, used = {}, 0
  for i = 1, request.operands do
    local text = used < LISTED_IN_INFO and operand_text(request, i)
    parts[#parts + 1] = text and shorten(text) or "..."
    if not text then break end
    used = used + #parts[#parts] + 2
  end
  return concat(parts, ", ")
end

local function describe_request(request)
  local trouble = request.problem
  if trouble and not WELL_SHAPED[trouble.kind] then
    return format("[%s: %s]", trouble.kind == "unsupported" and "Unsupported" or "Malformed", trouble.text)
  end
  if request.symbol == "?" then return "describe" end
  local head = WORDS[request.symbol] or "[Truncated by the capture]"
  if trouble and not request.symbol then head = format("[%s]", trouble.text:gsub("^%l", string.upper)) end
  if request.operands == 0 then return head end
  return format("%s %s (%s)%s", head, operand_list(request), plural(request.operands, "operand"),
    request.format == 1 and " as text" or "")
end

-- Octets that are not a whole field, under the label of the field that should be there.
local function show_rest(view, offset, count, label, note)
  local item = show(view, fields.rest, offset, count)
  if not item then return end
  if label then item:set_text(format("%s: truncated, %s", label, plural(count, "octet"))) end
  if note then item:append_text(note) end
end

local function show_operands(view, request)
  infer(view, fields.operands, request.operands)
  if request.symbol == "?" then
    show_rest(view, request.offset, request.length - request.offset, nil, " (padding)")
    return
  end
  local shown = math.min(request.operands, REQUEST_LIMIT)
  local listed = wanted(view, fields.operand) or wanted(view, fields.operand_text) or wanted(view, fields.rest)
  for i = 1, listed and shown or 0 do
    local text, offset = operand_text(request, i), request.offset + (i - 1) * request.width
    if not text then break end
    show_integer(view, fields.operand, fields.operand_text, { offset, request.width }, format("Operand %d", i), text)
  end
  local offset = request.offset + shown * request.width
  local cut = shown == request.operands and request.width and request.width > 0
  show_rest(view, offset, request.length - offset, cut and format("Operand %d", shown + 1))
end

local function show_request_fields(view, request)
  infer(view, fields.form, request.form)
  infer(view, fields.message, "request")
  if request.opcode then
    if request.form == "extended" then
      show(view, fields.version, 0, 1)
    else
      show(view, fields.unused, 0, 1)
    end
    show(view, fields.opcode, 0, 1)
    show(view, fields.format, 0, 1)
  end
  if request.form == "extended" then
    if request.version == VERSION then
      show(view, fields.operator, 1, 1)
      show(view, fields.width, 2, 1)
      show(view, fields.reserved, 3, 1)
    end
    if request.version ~= VERSION then
      show_rest(view, 1, request.length - 1)
    elseif request.id then
      show(view, fields.id, 4, 8)
    else
      show_rest(view, 4, math.min(request.length, EXTENDED_HEADER) - 4, "Request identifier")
    end
  end
  if request.symbol then
    local item = show(view, fields.op, request.form == "extended" and 1 or 0, 1, request.symbol)
    if item then item:set_generated() end
  end
  if request.offset then show_operands(view, request) end
end

local function show_request(view, request)
  if view.watched then show_request_fields(view, request) end
  if request.problem then remark(view, request.problem.kind, request.problem.text) end
  if request.unused and request.unused ~= 0 then
    remark(view, "liberty", "Unused is sent as 0, and ignored")
  end
end

local LISTED_LINKS = 8  -- frames of one exchange, in each direction; of more the first seven and the last

-- Links to the records from `first` on, of which there are `count`, the last being `last`.
local function link(view, field, first, count, last)
  if not wanted(view, field) then return end
  local record = first
  for i = 1, math.min(count, LISTED_LINKS) do
    if i == LISTED_LINKS then record = last end
    infer(view, field, records.frame[record])
    record = records.later[record]
  end
end

-- Links to the rest of the exchange. Replies are known only after the whole capture was read: with two passes
-- (tshark -2), or when a packet is selected.
local function show_request_links(view, record, request)
  local exchange = records.exchange[record]
  local first = records.frame[exchanges.first[exchange]]
  local later, copied = records.later[record], records.copy_of[record]
  local replies = exchanges.replies[exchange]
  if view.watched then
    if copied then
      infer(view, fields.copy_of, records.frame[copied])
    elseif records.nth[record] > 1 then
      infer(view, fields.repeat_of, first)
    end
    if later then infer(view, fields.repeated_in, records.frame[later]) end
    if exchanges.requests[exchange] > 1 then infer(view, fields.sent, exchanges.requests[exchange]) end
    if replies > 1 then infer(view, fields.replies, replies) end
    link(view, fields.reply_in, exchanges.first_reply[exchange], replies, exchanges.last_reply[exchange])
  end
  if copied then
    remark(view, "copy", format("Copies the request of frame %d after %s: too early for a retransmission",
      records.frame[copied], duration(records.time[record] - records.time[copied])))
  elseif records.nth[record] > 1 then
    remark(view, "retransmission", format("Repeats the request of frame %d", first))
  end
  local reused = records.reused[record]
  if reused then
    remark(view, "reused", format("The identifier of a different request, in frame %d", records.frame[reused]))
  end
  if records.answers[record] then
    infer(view, fields.answers, records.answers[record])
    remark(view, "reply_to_reply",
      format("Sent after the reply of frame %d, between two servers: perhaps a loop", records.answers[record]))
  end
  if view.again and replies == 0 then
    remark(view, request.problem and request.problem.answer == "silence" and "silence" or "unanswered")
  end
  local exact = exchanges.payload[exchange] == CLASSIC_ERROR and outcome(request).exact
  if exact then
    remark(view, "overflow", request.format == 0
      and format("The result, %s, exceeds 32 bits: an error, or the value modulo 2^32", shorten(exact))
      or format("The result has %d digits, 256 at most: an error", #exact))
  end
end

local function dissect_request(view, record)
  local request = view.request or read_request(view.octets, view.length)
  local summary = describe_request(request)
  show_request(view, request)
  if record then
    show_request_links(view, record, request)
    if records.copy_of[record] then
      summary = "[Copy] " .. summary
    elseif records.nth[record] > 1 then
      summary = "[Retransmission] " .. summary
    end
    if records.answers[record] then summary = "[Reply to a reply?] " .. summary end
  end
  return request.form, summary
end

------------------------------------------------------------------------------------------------------------------------
-- The tree and the Info column of a reply
------------------------------------------------------------------------------------------------------------------------

local function describe_reply(reply)
  if reply.problem then return format("[Malformed: %s]", reply.problem) end
  if reply.success then
    if reply.description then return "Description " .. reply.result:match("^[^\n]*") end
    if reply.either then return format("Result %s or \"%s\"", reply.result, reply.either) end
    return reply.result and "Result " .. shorten(reply.result) or "Result [truncated by the capture]"
  end
  if reply.form == "extended" then
    return format("Error %d (%s)", reply.status, STATUS[reply.status] or "not assigned")
  end
  return reply.text and format("Error \"%s\"", reply.text) or "Error"
end

local function show_reply_fields(view, reply)
  local length = reply.length
  infer(view, fields.form, reply.form)
  infer(view, fields.message, "reply")
  if reply.success ~= nil then show(view, fields.success, 0, 1) end
  if reply.form == "extended" then
    show(view, fields.ones, 0, 1)
    show(view, fields.status, 1, 1)
    show(view, fields.reply_format, 2, 1)
    show(view, fields.reserved, 3, 1)
    if reply.id then show(view, fields.id, 4, 8) end
    if reply.needed then show(view, fields.needed, EXTENDED_HEADER, 4) end
  elseif reply.success ~= nil then
    show(view, fields.reply_unused, 0, 1)
  end
  local offset = reply.form == "extended" and EXTENDED_HEADER or CLASSIC_HEADER
  if reply.description then
    show(view, fields.result_text, offset, length - offset, reply.result)
  elseif reply.result then
    show_integer(view, fields.result, fields.result_text, { offset, length - offset }, "Result", reply.result)
  elseif reply.text then
    show(view, fields.text, reply.text_from - 1, length - reply.text_from + 1, reply.text)
  elseif length > offset then
    local item = show(view, fields.rest, offset, length - offset)
    local error_text = reply.form == "extended" and reply.status ~= OK
    if item then item:set_text(error_text and "Error text: not valid" or "Result: not valid") end
  end
end

local function show_reply(view, reply)
  if view.watched then show_reply_fields(view, reply) end
  if reply.problem then remark(view, "malformed", reply.problem) end
  if reply.wider then remark(view, "liberty", "Wider than the result needs") end
  if reply.terminated then remark(view, "liberty", "A NUL after the text") end
  if reply.reserved and reply.reserved ~= 0 then remark(view, "liberty", "Reserved is sent as 0, and ignored") end
  if reply.either then remark(view, "liberty", "An integer or a text: only the request would say") end
  if reply.success == false then remark(view, "error", describe_reply(reply)) end
end

local function show_expected(view, text)
  show_integer(view, fields.expected, fields.expected_text, nil, "Expected result", text)
end

-- The verdict is computed once, when the reply is first seen; the reason for one that is not "right" on each look.
local function show_check(view, record, reply)
  local exchange, verdict, reason, request = records.exchange[record], records.verdict[record], nil, nil
  if not verdict and reply.success and reply.form == "classic"
    and exchanges.payload[exchange] == sub(reply.octets, 2) then
    verdict = "right"
  end
  if verdict ~= "right" then
    request = request_of(exchange)
    verdict, reason = judge(request, reply)
  end
  records.verdict[record] = verdict
  local item = infer(view, fields.check, verdict)
  if item and reason then item:append_text(format(" (%s)", reason)) end
  if verdict == "right" or verdict == "not checked" then return "" end
  local expected = outcome(request)
  if verdict == "wrong" then
    if expected.result then show_expected(view, expected.result) end
    remark(view, "wrong", "Wrong: " .. reason)
    return format(" [Wrong: %s]", reason)
  end
  show_expected(view, expected.exact or expected.result)
  remark(view, "overflow", reason)
  return format(" [%s]", reason)
end

-- Links to the request, and what follows from having both. Returns what the Info column adds.
local function show_reply_links(view, record, reply)
  local exchange = records.exchange[record]
  if not exchange then
    remark(view, "orphan")
    return " [no request seen]"
  end
  local first, asked, latest = exchanges.first[exchange], records.asked[record], records.latest[record]
  local seconds = records.time[record] - records.time[first]
  if view.watched then
    link(view, fields.request_in, first, asked, latest)
    if wanted(view, fields.time) then infer(view, fields.time, nstime(seconds)) end
    if asked > 1 then
      infer(view, fields.sent, asked)
      infer(view, fields.time_repeat, nstime(records.time[record] - records.time[latest]))
    end
  end
  local added = " in " .. duration(seconds)
  if records.nth[record] > 1 then
    local earlier = records.frame[exchanges.first_reply[exchange]]
    infer(view, fields.duplicate_of, earlier)
    remark(view, "duplicate", format("A reply was seen in frame %d", earlier))
    added = format("%s [Duplicate of frame %d]", added, earlier)
  end
  local length = exchanges.length[exchange]
  if reply.form == "classic" and exchanges.payload[exchange] == false then
    remark(view, "classic_peer", "The peer answers an extended request as classic: perhaps it knows no other form")
  end
  if reply.length > AMPLIFICATION * length then
    remark(view, "long_reply", format("%d octets answer %d, more than three times as many", reply.length, length))
    added = added .. " [over three times its request]"
  end
  return added .. show_check(view, record, reply)
end

local function dissect_reply(view, record, to_server)
  local exchange = record and records.exchange[record]
  local asked, symbol
  if exchange then asked, symbol = asked_of(exchange) end
  local reply = read_reply(view.octets, view.length, asked, symbol)
  local summary = describe_reply(reply)
  show_reply(view, reply)
  if record then
    summary = summary .. show_reply_links(view, record, reply)
    local answers = records.answers[record]
    if answers then
      infer(view, fields.answers, answers)
      remark(view, "reply_to_reply", format("Answers the reply of frame %d: a loop", answers))
      summary = "[Reply to a reply] " .. summary
    elseif to_server and not exchange then
      remark(view, "stray", "A reply sent to a server, which never answers it")
      summary = "[Reply to a server] " .. summary
    end
  end
  return reply.form, summary
end

------------------------------------------------------------------------------------------------------------------------
-- Registration: preferences, Decode As, heuristic
------------------------------------------------------------------------------------------------------------------------

do

calc6.prefs.ports = Pref.range("UDP ports", DEFAULT_PORTS, "Ports of servers, such as 10000,10010-10019", 65535)
calc6.prefs.heuristic = Pref.bool("Recognise extended requests on any UDP port", false,
  "By their octets, and the replies to them by their identifiers")
calc6.prefs.pause = Pref.uint("Shortest pause before a retransmission (ms)", 5,
  "The same request after a shorter time is a copy: a client that repeats a request waits before it does")

local udp_ports = DissectorTable.get("udp.port")
local ports_in_use, port_ranges

local function use_ports(text)
  if ports_in_use == text then return end
  if ports_in_use and ports_in_use ~= "" then udp_ports:remove(ports_in_use, calc6) end
  if text ~= "" then udp_ports:add(text, calc6) end
  ports_in_use, port_ranges = text, {}
  for low, high in text:gmatch("(%d+)%-?(%d*)") do
    port_ranges[#port_ranges + 1] = { tonumber(low), tonumber(high) or tonumber(low) }
  end
end

local function is_server_port(port)
  for i = 1, #port_ranges do
    if port >= port_ranges[i][1] and port <= port_ranges[i][2] then return true end
  end
  return false
end

local latest_view = {}

-- The same table each time, because this dissector calls no other.
local function view_of(tvb, pinfo, tree)
  if not referenced then referenced, handle = tree.referenced, Dissector.get("calc6") end
  local view, visible = latest_view, tree.visible
  view.tvb, view.octets, view.length = tvb, tvb:len() > 0 and tvb:raw() or "", tvb:reported_len()
  view.tree, view.visible, view.watched = tree, visible, visible or referenced(tree, handle)
  view.again, view.frame, view.from_port, view.to_port = pinfo.visited, pinfo.number, pinfo.src_port, pinfo.dst_port
  view.item, view.request = nil, nil
  return view
end

local ARROW = "\226\134\146"  -- U+2192, as in Wireshark's own Info column of UDP

-- Shows one message below view.item. Returns its form, and the words for the Info column.
local function dissect_message(view, kind, record, to_server)
  local form, summary
  if kind == "request" then
    form, summary = dissect_request(view, record)
  else
    form, summary = dissect_reply(view, record, to_server)
  end
  if #view.octets < view.length then
    remark(view, "cut", format("The capture holds %d of %d octets", #view.octets, view.length))
  end
  return form, summary
end

local LISTED_SEGMENTS = 4  -- in the Info column

-- Shows each segment of a train below an item of its own, and returns the words for the Info column.
local function dissect_train(view, kind, train, to_server)
  local head, count, listed = view.item, #train, {}
  infer(view, fields.segments, count)
  remark(view, "train", format("%d datagrams that the capture holds as one: a train of segments (UDP_SEGMENT, UDP_GRO)",
    count))
  for i = 1, count do
    local offset = (i - 1) * train.length
    local octets = sub(view.octets, offset + 1, offset + train.length)
    local segment = {}
    for key, value in pairs(view) do segment[key] = value end
    segment.octets, segment.length, segment.request = octets, #octets, nil
    if view.watched then
      local range = view.tvb:range(offset, #octets)
      segment.tvb = range:tvb()
      segment.item = wanted(view, fields.segment) and head:add(fields.segment, range, i) or head
    end
    local form, summary = dissect_message(segment, kind, train[i], to_server)
    if view.visible then
      segment.item:set_text(format("Segment %d of %d, %s %s: %s", i, count, form, kind, summary))
    end
    if i <= LISTED_SEGMENTS then listed[i] = summary end
  end
  if count > LISTED_SEGMENTS then listed[LISTED_SEGMENTS + 1] = "..." end
  return format("[%d segments] %s", count, concat(listed, "; "))
end

-- Shows a datagram of the given kind; `record` is nil for the copy of a packet that an ICMP error carries.
local function dissect(view, pinfo, kind, record, to_server)
  local columns = pinfo.cols
  columns.protocol:set("calc6")
  -- Also in a tree that nobody looks at: the protocol hierarchy counts this item.
  view.item = #view.octets > 0 and view.tree:add(calc6, view.tvb:range()) or view.tree:add(calc6)
  local train = record and records.train[record]
  local summary
  if train then
    summary = dissect_train(view, kind, train, to_server)
    if view.visible then view.item:append_text(format(", train of %d segments", #train)) end
  else
    local form
    form, summary = dissect_message(view, kind, record, to_server)
    if view.visible then view.item:append_text(format(", %s %s: %s", form, kind, summary)) end
  end
  columns.info:set(format("%d %s %d %s", view.from_port, ARROW, view.to_port, summary))
end

local pause = 0.005  -- seconds; see calc6.prefs.pause

function calc6.dissector(tvb, pinfo, tree)
  local view = view_of(tvb, pinfo, tree)
  local forward, backward = paths(pinfo, view)
  local from_server, to_server = is_server_port(view.from_port), is_server_port(view.to_port)
  local record = find_record(view.frame, forward)
  local kind = record and kind_of(record)
  if not kind then
    local matched_source = false
    if from_server == to_server then
      local matched = pinfo.match_uint
      matched_source = matched == view.from_port and matched ~= view.to_port
    end
    kind = direction(view.octets, forward, backward, from_server, to_server, matched_source)
    if not pinfo.in_error_pkt then
      record = track(pinfo, view, forward, backward, kind, from_server and to_server, pause)
    end
  end
  dissect(view, pinfo, kind, record, to_server and not from_server)
  return #view.octets
end

-- The heuristic claims extended requests that are valid in every octet, and the replies to them. A request must be one
-- that a server computes, and its identifier must look random: a DNS query with the identifier 0x1e2b has the octets of
-- a sum of Width 1, but its counts are where the request identifier should be. A reply alone is never claimed: a QUIC
-- Retry packet can start with ff 00 00 00.
local function looks_random(id)
  local zeros, distinct, seen = 0, 0, {}
  for i = 1, #id do
    local octet = byte(id, i)
    if octet == 0 then zeros = zeros + 1 end
    if not seen[octet] then seen[octet], distinct = true, distinct + 1 end
  end
  return zeros <= 2 and distinct >= 5
end

local function plausible_first(octets)
  local first = byte(octets, 1)
  return first == 0x1E or first == 0x1F
end

local function plausible_request(octets, length)
  if not plausible_first(octets) or length < EXTENDED_HEADER or #octets < length then return false end
  local request = read_request(octets, length)
  return request.form == "extended" and request.problem == nil and request.width > 0 and looks_random(request.id)
end

-- A train whose segments are all plausible.
local function plausible_train(octets, length)
  if #octets < length or not plausible_first(octets) then return false end
  local segment = extended_requests_length(octets)
  if not segment then return false end
  for from = 1, length, segment do
    local part = sub(octets, from, from + segment - 1)
    if not plausible_request(part, #part) then return false end
  end
  return true
end

local function expected_reply(octets, length, backward)
  if not looks_extended_reply(octets, length) then return false end
  local flow = state.flows[backward]
  return flow ~= nil and flow.by_id ~= nil and flow.by_id[sub(octets, 5, 12)] ~= nil
end

local heuristic_wanted, heuristic_registered = false, false  -- see calc6.prefs_changed()

local function heuristic(tvb, pinfo, tree)
  if not heuristic_wanted or tvb:len() < EXTENDED_HEADER then return false end
  local first = tvb:range(0, 1):uint()
  if first ~= 0x1E and first ~= 0x1F and first ~= 0x7F and first ~= 0xFF then return false end
  local view = view_of(tvb, pinfo, tree)
  local forward, backward = paths(pinfo, view)
  local record = find_record(view.frame, forward)
  local kind = record and kind_of(record)
  if not kind then
    if plausible_request(view.octets, view.length) or plausible_train(view.octets, view.length) then
      kind = "request"
    elseif expected_reply(view.octets, view.length, backward) then
      kind = "reply"
    else
      return false
    end
    if not pinfo.in_error_pkt then record = track(pinfo, view, forward, backward, kind, false, pause) end
  end
  dissect(view, pinfo, kind, record)
  return true
end

function calc6.init()
  forget_everything()
end

-- Wireshark adds a hidden item, _ws.lua.fake, to every packet that a Lua heuristic is asked about, and shows it in the
-- protocol hierarchy. So the heuristic is registered only when the preference first asks for it.
function calc6.prefs_changed()
  use_ports(calc6.prefs.ports)
  pause = calc6.prefs.pause / 1000
  heuristic_wanted = calc6.prefs.heuristic
  if heuristic_wanted and not heuristic_registered then
    heuristic_registered = true
    calc6:register_heuristic("udp", heuristic)
  end
end

use_ports(DEFAULT_PORTS)
udp_ports:add_for_decode_as(calc6)

end

------------------------------------------------------------------------------------------------------------------------
-- Statistics: a window under Statistics, and `tshark -z calc6,stat[,FILTER]`
------------------------------------------------------------------------------------------------------------------------

do

local function line_for(counts, list, name)
  local line = counts[list][name]
  if not line then
    line = { name = name, requests = 0, repeats = 0, unanswered = 0, replies = 0, wrong = 0, times = {} }
    counts[list][name] = line
  end
  return line
end

local function count_record(counts, record)
  local exchange, status = records.exchange[record], records.status[record]
  local line = exchange and line_for(counts, "operators", exchanges.name[exchange])
  if not status then
    if records.nth[record] > 1 then
      line.repeats = line.repeats + 1
    else
      line.requests = line.requests + 1
      counts.exchanges[#counts.exchanges + 1] = exchange
    end
    return
  end
  local same = line_for(counts, "statuses", status)
  same.replies = same.replies + 1
  if not exchange then
    counts.orphans = counts.orphans + 1
    return
  end
  local verdict = records.verdict[record]
  if verdict == "wrong" then line.wrong = line.wrong + 1 end
  if verdict == "wrapped" then counts.wrapped = counts.wrapped + 1 end
  if records.nth[record] > 1 then
    counts.duplicates = counts.duplicates + 1
  else
    line.replies = line.replies + 1
    line.times[#line.times + 1] = (records.time[record] - records.time[exchanges.first[exchange]]) * 1000
  end
end

-- Counted when the report is due, because a train of classic requests is recognised only by its answers.
local function count_frames(frames)
  local counts = { operators = {}, statuses = {}, exchanges = {}, wrapped = 0, duplicates = 0, orphans = 0 }
  for i = 1, #frames do
    local record = state.frames[frames[i]]
    while record do
      local train = records.train[record]
      for k = 1, train and #train or 1 do count_record(counts, train and train[k] or record) end
      record = records.beside[record]
    end
  end
  return counts
end

local function sorted_lines(lines)
  local list = {}
  for _, line in pairs(lines) do list[#list + 1] = line end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

-- Least, median, 99th percentile (nearest rank) and greatest of sorted times.
local function spread(times)
  local function rank(share) return times[math.max(1, math.ceil(share * #times))] end
  return times[1], rank(0.5), rank(0.99), times[#times]
end

-- No line is longer than the 70 characters that Wireshark's window shows of it.
local function report(counts)
  for _, line in pairs(counts.operators) do line.unanswered = 0 end
  for _, exchange in ipairs(counts.exchanges) do
    local line = counts.operators[exchanges.name[exchange]]
    if exchanges.replies[exchange] == 0 then line.unanswered = line.unanswered + 1 end
  end
  local columns = "%-18s %9s %9s %11s %9s %8s"
  local text = { format(columns, "Operator", "requests", "repeats", "unanswered", "replies", "wrong") }
  for _, line in ipairs(sorted_lines(counts.operators)) do
    text[#text + 1] = format("%-18s %9d %9d %11d %9d %8d", line.name, line.requests, line.repeats, line.unanswered,
      line.replies, line.wrong)
  end
  text[#text + 1] = ""
  text[#text + 1] = format("%-18s %11s %11s %11s %11s", "Response time, ms", "least", "median", "99%", "greatest")
  for _, line in ipairs(sorted_lines(counts.operators)) do
    table.sort(line.times)
    if #line.times > 0 then
      text[#text + 1] = format("%-18s %11.3f %11.3f %11.3f %11.3f", line.name, spread(line.times))
    end
  end
  text[#text + 1] = ""
  text[#text + 1] = format("%-42s %11s", "Status", "replies")
  for _, line in ipairs(sorted_lines(counts.statuses)) do
    text[#text + 1] = format("%-42s %11d", line.name, line.replies)
  end
  text[#text + 1] = ""
  text[#text + 1] = format("%-42s %11d", "Results modulo 2^32", counts.wrapped)
  text[#text + 1] = format("%-42s %11d", "Duplicate replies", counts.duplicates)
  text[#text + 1] = format("%-42s %11d", "Replies without a request", counts.orphans)
  return concat(text, "\n") .. "\n"
end

-- Listens to every packet of this protocol that passes the filter, and gives the report to `draw` at the end. Returns
-- nothing but the reason if the filter is not valid.
local function listen(filter, draw)
  local valid, tap = pcall(Listener.new, "frame", filter ~= "" and format("calc6 && (%s)", filter) or "calc6")
  if not valid then
    return nil, format("invalid filter '%s': %s", filter, tostring(tap):match("invalid %- ([^\n]*)") or tap)
  end
  local frames = {}
  function tap.reset() frames = {} end
  function tap.packet(pinfo) frames[#frames + 1] = pinfo.number end
  function tap.draw() draw(report(count_frames(frames))) end
  return tap
end

local function show_statistics_window()
  local window
  local tap, reason = listen(get_filter and get_filter() or "", function(text) window:set(text) end)
  if not tap then
    report_failure(reason)
    return
  end
  window = TextWindow.new("Calculator over UDP (calc6)")
  window:set_atclose(function() tap:remove() end)
  retap_packets()
end

-- As tshark does for a bad -Y: one line, and exit status 2.
local function fail(reason)
  io.stderr:write("tshark: -z calc6,stat: ", reason, "\n")
  os.exit(2)
end

if gui_enabled() then
  register_menu("Calculator over UDP (calc6)", show_statistics_window, MENU_STAT_UNSORTED)
else
  register_stat_cmd_arg("calc6,stat", function(argument)
    local filter = (argument or ""):match("^calc6,stat,(.+)$") or ""
    local tap, reason = listen(filter, function(text) print(text) end)
    if not tap then fail(reason) end
  end)
end

end
