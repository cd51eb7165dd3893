"""What Redis does in one step, in Lua: nobody can come between the lines of a script.

Each resource has five keys, all with the same hash tag, so that a cluster keeps them on one node:

    holder   a string: the request that has the lease and its token; it expires with the lease
    token    the last token that was given; it never expires, for tokens must grow for ever
    queue    a sorted set: the requests that wait, each with the number of its ticket
    alive    a sorted set: the same requests, each with the time until which it is believed to wait
    wake     a list for each request: what it is woken by

A request is a random word, chosen by the client. With it each script can be repeated, should the answer be lost: the
second call finds what the first one did.

A waiter that vanishes is dropped from the queue when it has not asked again for a while: that keeps the queue from
waiting for the dead. The time is the server's.

A token is the server's time in microseconds, or one more than the last token, whichever is larger: a hybrid logical
clock. A plain counter would begin anew when the server loses its data, and give the same number twice when a replica
takes over that has not seen the last one; this one grows in both cases, if the clocks are not further behind than the
time that it took (S. Kulkarni et al., "Logical Physical Clocks", OPODIS 2014).
"""

__all__ = ["ACQUIRE", "LEAVE", "RELEASE", "RENEW"]

_COMMON = """
local holder, counter, queue, alive, wake = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function drop_the_dead()
  for _, request in ipairs(redis.call('ZRANGEBYSCORE', alive, '-inf', '(' .. now())) do
    redis.call('ZREM', queue, request)
    redis.call('ZREM', alive, request)
  end
end

local function leave(request)
  redis.call('ZREM', queue, request)
  redis.call('ZREM', alive, request)
end

local function wake_the_first()
  if redis.call('EXISTS', queue) == 0 then
    return
  end
  drop_the_dead()
  local first = redis.call('ZRANGE', queue, 0, 0)[1]
  if first then
    local key = wake .. first
    redis.call('RPUSH', key, '1')
    redis.call('LTRIM', key, -1, -1)
    redis.call('PEXPIRE', key, 5000)
  end
end

local function is_held_by(request)
  local value = redis.call('GET', holder)
  if not value then
    return nil, nil
  end
  local separator = string.find(value, ':', 1, true)
  return string.sub(value, 1, separator - 1) == request, tonumber(string.sub(value, separator + 1))
end
"""

ACQUIRE = (
    _COMMON
    + """
-- request, TTL in ms, ms for which the waiter is believed to live or 0 not to wait
-- -> 1, token, ms left | 0, token of the holder, ms left
local request, ttl, patience = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local mine, held_token = is_held_by(request)
if mine then
  return {1, held_token, redis.call('PTTL', holder)}
end
local first
if redis.call('EXISTS', queue) == 1 then
  drop_the_dead()
  first = redis.call('ZRANGE', queue, 0, 0)[1]
end
if mine == nil then
  if not first or first == request then
    if first then
      leave(request)
      redis.call('DEL', wake .. request)
    end
    local time = redis.call('TIME')
    local token = math.max(
      tonumber(redis.call('GET', counter) or 0) + 1, time[1] * 1000000 + tonumber(time[2]))
    local digits = string.format('%.0f', token)
    redis.call('SET', counter, digits)
    redis.call('SET', holder, request .. ':' .. digits, 'PX', ttl)
    return {1, token, ttl}
  end
end
if patience > 0 then
  if not redis.call('ZSCORE', queue, request) then
    local last = redis.call('ZREVRANGE', queue, 0, 0, 'WITHSCORES')[2]
    redis.call('ZADD', queue, (last or 0) + 1, request)
  end
  redis.call('ZADD', alive, now() + patience, request)
  redis.call('PEXPIRE', queue, patience * 2)
  redis.call('PEXPIRE', alive, patience * 2)
  if mine == nil then
    wake_the_first()  -- it is free, and another one's turn: perhaps that one was not told
  end
end
return {0, held_token or 0, math.max(redis.call('PTTL', holder), 0)}
"""
)

RENEW = (
    _COMMON
    + """
-- request, TTL in ms -> 1 | 0
if is_held_by(ARGV[1]) then
  local left = redis.call('PTTL', holder)
  redis.call('PEXPIRE', holder, ARGV[2])
  if tonumber(ARGV[2]) < left then
    wake_the_first()  -- it waits for the later end
  end
  return 1
end
return 0
"""
)

RELEASE = (
    _COMMON
    + """
-- request -> 1 | 0
if is_held_by(ARGV[1]) then
  redis.call('DEL', holder)
  wake_the_first()
  return 1
end
return 0
"""
)

LEAVE = (
    _COMMON
    + """
-- request: it waits no more; if it was given the lease meanwhile, the next one gets it
leave(ARGV[1])
redis.call('DEL', wake .. ARGV[1])
if is_held_by(ARGV[1]) then
  redis.call('DEL', holder)
end
if redis.call('EXISTS', holder) == 0 then
  wake_the_first()
end
return 1
"""
)
