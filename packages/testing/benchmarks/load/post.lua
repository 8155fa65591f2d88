-- Two kilobytes of JSON.
local items = {}
for i = 1, 40 do items[i] = string.format("{\"id\": %d, \"name\": \"item number %04d\", \"ok\": true}", i, i) end
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = "{\"items\": [" .. table.concat(items, ",") .. "]}"
