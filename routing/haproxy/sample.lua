-- GET /predict: sends the built-in sample as a POST through the public rules, and passes the answer on.
local function content(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("*a")
    file:close()
    return text
end

local address = os.getenv("ROUTER_SAMPLE_SOCKET")
local timeout_s = tonumber(os.getenv("ROUTER_SAMPLE_TIMEOUT_S"))
local body = content(os.getenv("ROUTER_SAMPLE"))
local passed_on = {["content-type"] = true, ["content-encoding"] = true, ["retry-after"] = true, ["allow"] = true,
    ["x-predictor"] = true}
local request = "POST /predict HTTP/1.1\r\nHost: router\r\nConnection: close\r\n" ..
    "Content-Type: " .. os.getenv("ROUTER_SAMPLE_TYPE") .. "\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body

local function respond(applet, status, text, reason)
    local answer = '{"error": "' .. text .. '", "reason": "' .. reason .. '"}'
    applet:set_status(status)
    applet:add_header("content-type", "application/json")
    if status == 503 then applet:add_header("retry-after", "1") end
    applet:add_header("content-length", tostring(#answer))
    applet:start_response()
    applet:send(answer)
end

-- So many bytes, nil where fewer came.
local function exactly(socket, size)
    local part = size > 0 and socket:receive(size) or ""
    return #part == size and part or nil
end

-- A predictor's chunks come through as chunks.
local function from_chunks(socket)
    local parts = {}
    while true do
        local size = tonumber((socket:receive("*l") or ""):match("^%x+") or "", 16)
        if not size then return nil end
        if size == 0 then return table.concat(parts) end
        local part = exactly(socket, size)
        if not part then return nil end
        parts[#parts + 1] = part
        socket:receive("*l")
    end
end

-- The answer's body, nil where it was cut short.
local function whole(socket, headers)
    if headers["transfer-encoding"] then return from_chunks(socket) end
    local length = tonumber(headers["content-length"])
    if length then return exactly(socket, length) end
    return socket:receive("*a") or ""
end

local function headers_from(socket)
    local headers = {}
    local line = socket:receive("*l")
    while line and line ~= "" do
        local name, value = line:match("^([^:]+):%s*(.*)$")
        if name then headers[name:lower()] = value end
        line = socket:receive("*l")
    end
    return headers
end

local function pass_on(applet, socket)
    local status = tonumber((socket:receive("*l") or ""):match("^HTTP/1%.%d (%d%d%d)"))
    local headers = headers_from(socket)
    local answer = status and whole(socket, headers)
    if not answer then return respond(applet, 502, "no usable answer", "bad_answer") end
    applet:set_status(status)
    for name, value in pairs(headers) do
        if passed_on[name] then applet:add_header(name, value) end
    end
    applet:add_header("content-length", tostring(#answer))
    applet:start_response()
    applet:send(answer)
end

core.register_service("sample", "http", function(applet)
    local socket = core.tcp()
    socket:settimeout(timeout_s)
    if socket:connect(address) then
        socket:send(request)
        pass_on(applet, socket)
    else
        respond(applet, 503, "the router is stopping", "down")  -- HAProxy's own socket is closed already
    end
    socket:close()
end)
