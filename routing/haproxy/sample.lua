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
-- HTTP/1.0, so that the answer comes unchunked and ends with its connection.
local request = "POST /predict HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body

local function pass_on(applet, socket)
    local status = (socket:receive("*l") or ""):match("^HTTP/1%.%d (%d%d%d)")
    applet:set_status(tonumber(status) or 502)
    local line = socket:receive("*l")
    while line and line ~= "" do
        local name, value = line:match("^([^:]+):%s*(.*)$")
        if name and passed_on[name:lower()] then applet:add_header(name, value) end
        line = socket:receive("*l")
    end
    local answer = socket:receive("*a") or ""
    applet:add_header("content-length", tostring(#answer))
    applet:start_response()
    applet:send(answer)
end

-- While HAProxy stops, its own socket is closed already.
local function refuse(applet)
    local answer = '{"error": "the router is stopping", "reason": "down"}'
    applet:set_status(503)
    applet:add_header("content-type", "application/json")
    applet:add_header("retry-after", "1")
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
        refuse(applet)
    end
    socket:close()
end)
