# frozen_string_literal: true

# What the Ruby servers share: configuration, log and invented facts, as servers/python/common.py.

require 'digest'
require 'json'

CONFIG = JSON.parse(ENV.fetch('WF_SERVER'))
FAULT = CONFIG['fault'] || {}
LOG = File.open(CONFIG['log'], 'a')
LOG.sync = true
LOG_LOCK = Mutex.new

def write_log(row)
  LOG_LOCK.synchronize { LOG.write("#{JSON.generate(row)}\n") }
end

# The request that a response is made for: what the log tells of it.
Asked = Struct.new(:peer, :method, :target, :about, :who, :received) do
  def self.by(env, body)
    id, token, cookie = %w[HTTP_X_REQUEST_ID HTTP_AUTHORIZATION HTTP_COOKIE].map { |key| env[key].to_s }
    query = env['QUERY_STRING'].to_s
    port = env['puma.socket'].peeraddr(false)[1]
    new("#{env['REMOTE_ADDR']}:#{port}", env['REQUEST_METHOD'],
        env['PATH_INFO'] + (query.empty? ? '' : "?#{query}"),
        id.empty? && body.empty? ? nil : Digest::SHA256.hexdigest("#{id}\n#{body}")[0, 12],
        token.empty? && cookie.empty? ? nil : Digest::SHA256.hexdigest("#{token}\n#{cookie}")[0, 12],
        Time.now.to_f)
  end

  def name
    "#{method} #{target}"
  end
end

# Tell which bytes were made for which request.
def log_answer(asked, status, bytes)
  sent = asked.method == 'HEAD' || [204, 304].include?(status) ? '' : bytes
  write_log(asked.to_h.merge(written: Time.now.to_f, status: status, length: sent.bytesize,
                             sha256: Digest::SHA256.hexdigest(sent)))
end

def matches?(pattern, name)
  pattern == name || (pattern.end_with?('*') && name.start_with?(pattern[0...-1]))
end

def slowness(name)
  found = (CONFIG['slow'] || {}).find { |pattern, _| matches?(pattern, name) }
  found ? found[1] / 1000.0 : 0
end

def chosen?(name)
  (FAULT['on'] || []).any? { |pattern| matches?(pattern, name) }
end

# A stable number below a limit: the same key always gives the same, as a database would.
def number(key, limit)
  Digest::MD5.digest(key.to_s).unpack1('N') % limit
end

def pick(key, choices)
  choices[number(key, choices.length)]
end

def code(key, length)
  Digest::SHA1.hexdigest(key.to_s)[0, length]
end
