-- Sends a template's requests, each event with a number of its own (see events.py), and prints the figures as JSON.
local NEXT, NUMBER, WORD = "\1", "\2", "\3"
local parts, marks, number = {}, {}, 0

local function word(n)
  local letters = {}
  for place = 1, 6 do
    letters[place] = string.char(103 + n % 20)
    n = math.floor(n / 20)
  end
  return table.concat(letters)
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local template = file:read("*a")
  file:close()
  number = tonumber(args[2])
  for text, mark in (template .. "\4"):gmatch("([^\1-\4]*)([\1-\4])") do
    parts[#parts + 1] = text
    marks[#marks + 1] = mark
    parts[#parts + 1] = ""
  end
end

function request()
  local digits, letters
  for place, mark in ipairs(marks) do
    if mark == NEXT then
      number = number + 1
      digits, letters = string.format("%09d", number), nil
    elseif mark == NUMBER then
      parts[2 * place] = digits
    elseif mark == WORD then
      letters = letters or word(number)
      parts[2 * place] = letters
    end
  end
  return table.concat(parts)
end

function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    '{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "refused": %d, "broken": %d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
