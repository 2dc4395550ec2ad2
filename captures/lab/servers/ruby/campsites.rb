# frozen_string_literal: true

# Campsites on Puma and Sinatra: pages made on the server, cookies, forms that redirect, a little JSON and CSV.
#
# Faults, each a mistake that is made in this language: `middleware-field` keeps a response in a field of a
# middleware, of which there is one for all threads; `for-fd` makes an IO of the number of the chosen request's
# connection, which closes it when it is collected (IO.for_fd without `autoclose: false`); `tracker-fields` is the first
# again, for every page and for two milliseconds; `thread-user` keeps the current user in a field of the thread, and
# forgets to empty it (redmine 16685).

require_relative 'common'
require 'erb'
require 'puma'
require 'puma/configuration'
require 'puma/launcher'
require 'sinatra/base'

LAYOUT = ERB.new(<<~HTML)
  <!DOCTYPE html>
  <html lang="en"><head><meta charset="utf-8"><title><%= title %> - Open Meadow</title>
  <link rel="stylesheet" href="/style.css"></head>
  <body><nav><a href="/sites">Sites</a> <% if user %><span class="user">Signed in as <%= user %></span><% else %><a href="/login">Sign in</a><% end %></nav>
  <main>
  <%= content %>
  </main></body></html>
HTML

# Camps and what is known of them.
module Camps
  WORDS = [%w[Elk Pine Granite Heron Willow Badger Juniper Antler], %w[Creek Flats Ridge Hollow Bend Lake Meadow Gulch]].freeze

  def self.name(slug)
    slug.split('-').map(&:capitalize).join(' ')
  end

  def self.slug(seed)
    "#{WORDS[0][seed % 8]}-#{WORDS[1][seed / 8 % 8]}".downcase
  end

  def self.page(slug)
    facts = { 'Pitches' => 8 + number("p#{slug}", 90), 'Altitude' => "#{1200 + number("a#{slug}", 1400)} m",
              'Water' => pick("w#{slug}", %w[tap stream none]) }
    facts['Bears'] = 'seen this year' if number("b#{slug}", 4).zero?
    rows = facts.map { |key, value| "<dt>#{key}</dt><dd>#{value}</dd>" }.join
    notes = (0...number("n#{slug}", 4)).map { |n| "<li>#{pick("#{slug}#{n}", ['Quiet after ten.', 'The lower loop floods.', 'Bring coins for the shower.', 'Good for small tents.'])}</li>" }
    "<h1>#{name(slug)}</h1><dl>#{rows}</dl>#{notes.empty? ? '' : "<ul class=\"notes\">#{notes.join}</ul>"}"
  end

  def self.list(region, page)
    items = (0...6).map { |n| slug(number("#{region}#{page}#{n}", 64)) }.uniq
    "<h1>Camps in #{region}</h1><ol start=\"#{page.to_i * 6}\">#{items.map { |one| "<li><a href=\"/sites/#{one}\">#{name(one)}</a></li>" }.join}</ol>"
  end

  def self.month(slug, month)
    days = (1..10).map { |day| { 'day' => "#{month}-#{format('%02d', day)}", 'free' => number("#{slug}#{month}#{day}", 12) } }
    { 'camp' => slug, 'days' => days.reject { |day| day['free'].zero? }, 'price' => { 'cents' => 1800 + number(slug, 2400), 'currency' => 'USD' } }
  end

  def self.booking(code)
    key = "booking#{code}"
    "<h1>Booking #{code}</h1><p>#{name(slug(number(key, 64)))}, pitch #{1 + number("#{key}p", 90)}</p>" \
      "<table><tr><th>Arrival</th><td>2026-12-#{format('%02d', 1 + number("#{key}a", 27))}</td></tr><tr><th>Nights</th><td>#{1 + number("#{key}n", 9)}</td></tr></table>"
  end

  def self.invoice(code)
    key = "invoice#{code}"
    lines = (0..number(key, 3)).map { |n| "<tr><td>#{pick("#{key}#{n}", ['Pitch', 'Firewood', 'Second car', 'Dog'])}</td><td class=\"sum\">#{format('%.2f', number("#{key}s#{n}", 9000) / 100.0)}</td></tr>" }
    "<h1>Invoice</h1><table class=\"lines\">#{lines.join}</table><p>Paid by card ending in #{1000 + number("#{key}c", 8999)}</p>"
  end

  def self.occupancy(region)
    rows = (1..(20 + number(region, 60))).map { |n| "#{slug(number("#{region}#{n}", 64))},#{number("#{region}o#{n}", 101)}" }
    "camp,percent\n#{rows.join("\n")}\n"
  end
end

# The application.
class Campsites < Sinatra::Base
  disable :protection, :show_exceptions, :dump_errors, :logging

  helpers do
    def user
      cookie = request.cookies['camp_session']
      cookie = remembered(cookie) if FAULT['name'] == 'thread-user' && request.path_info == '/account'
      cookie && pick(cookie, ['J. Holt', 'M. Sato', 'P. Lund', 'A. Quist', 'D. Amaro'])
    end

    # The mistake of `thread-user`: the thread remembers whom it has served.
    def remembered(cookie)
      if cookie
        Thread.current[:cookie] = cookie
        Thread.current[:made_for] = env['wf.asked']
      elsif Thread.current[:cookie]
        env['wf.made_for'] = Thread.current[:made_for]
      end
      Thread.current[:cookie]
    end

    def page(title, content)
      headers 'Cache-Control' => 'private, max-age=0'
      content_type 'text/html', charset: 'utf-8'
      user = self.user
      LAYOUT.result(binding)
    end
  end

  before { sleep(slowness(env['wf.asked'].name)) unless request.path_info.end_with?('/invoice') }

  get('/sites') { page('Camps', Camps.list(params.fetch('region', 'north'), params.fetch('page', '0'))) }
  get('/sites/:slug') { |slug| page(Camps.name(slug), Camps.page(slug)) }
  get('/sites/:slug/availability.json') do |slug|
    content_type :json
    JSON.generate(Camps.month(slug, params['month']))
  end
  get('/camp/:slug') { |slug| redirect "/sites/#{slug}", 301 }
  get('/bookings/:code') { |code| page("Booking #{code}", Camps.booking(code)) }
  get('/bookings/:code/invoice') { |code| page('Invoice', Camps.invoice(code)) }
  post('/bookings') do
    redirect "/bookings/#{code(env['wf.asked'].about, 8)}", 303
  end
  get('/account') do
    redirect '/login?next=/account', 302 unless user
    page('Account', "<h1>#{user}</h1><p>#{number(user, 9)} bookings</p>")
  end
  get('/login') { page('Sign in', '<form method="post"><input name="mail"><input name="word" type="password"><button>Go</button></form>') }
  get('/reports/:region.csv') do |region|
    content_type 'text/csv'
    Camps.occupancy(region)
  end
  get('/style.css') do
    content_type 'text/css'
    "body{font:16px/1.4 serif;margin:2em}dt{font-weight:bold}.sum{text-align:right}\n"
  end
  not_found { page('Not here', '<h1>Not here</h1><p>There is no such page.</p>') }
end

# Innermost: a response remembers which request it was rendered for.
class Rendered
  def initialize(app)
    @app = app
  end

  def call(env)
    status, headers, body = @app.call(env)
    whole = [String.new]
    body.each { |part| whole[0] << part }
    whole.instance_variable_set(:@asked, env['wf.made_for'] || env['wf.asked'])
    [status, headers, whole]
  end
end

# Invoices are written to an audit trail before they go out, which takes a moment.
class Audit
  def initialize(app)
    @app = app
  end

  def call(env)
    return @app.call(env) unless env['PATH_INFO'].end_with?('/invoice')

    if FAULT['name'] == 'middleware-field' # the mistake: one field for all threads
      @status, @headers, @body = @app.call(env)
      sleep(slowness(env['wf.asked'].name))
      [@status, @headers, @body]
    else
      answer = @app.call(env)
      sleep(slowness(env['wf.asked'].name))
      answer
    end
  end
end

# Looks for the place of a tracking snippet in every page, as rack-tracker does; `tracker-fields` keeps what it passes on
# in fields meanwhile (rack-tracker#150), `tracker-locals` does not.
class Tracker
  LOOK = 0.002 # seconds

  def initialize(app)
    @app = app
  end

  def call(env)
    return in_fields(env) if FAULT['name'] == 'tracker-fields'

    answer = @app.call(env)
    sleep(LOOK) if FAULT['name'] == 'tracker-locals'
    answer
  end

  private

  def in_fields(env)
    @status, @headers, @body = @app.call(env)
    sleep(LOOK)
    [@status, @headers, @body]
  end
end

# Outermost: the log of what was made for whom; and the mistake of `for-fd`.
class Journal
  def initialize(app)
    @app = app
  end

  def call(env)
    sent = env['rack.input'].read.to_s
    env['rack.input'].rewind
    asked = env['wf.asked'] = Asked.by(env, sent)
    forget(env['puma.socket']) if FAULT['name'] == 'for-fd' && chosen?(asked.name)
    status, headers, body = @app.call(env)
    made = body.instance_variable_get(:@asked) || asked
    write_log(fault: FAULT['name'], request: asked.name, at: Time.now.to_f) unless made.equal?(asked)
    log_answer(made, status, body[0])
    headers = headers.merge('Content-Length' => body[0].bytesize.to_s) unless [204, 304].include?(status)
    [status, headers, body]
  end

  private

  def forget(socket)
    number = socket.fileno
    spawn('sleep', '30', 9 => number) if FAULT['inherit']
    look_at(number)
    write_log(fault: 'for-fd', descriptor: number, at: Time.now.to_f)
    Thread.new { sleep(FAULT['after'] / 1000.0); GC.start }
  end

  def look_at(number)
    IO.for_fd(number).stat.size
  end
end

app = Rack::Builder.new do
  use Journal
  use Tracker
  use Audit
  use Rendered
  run Campsites
end

configuration = Puma::Configuration.new do |puma|
  puma.bind "tcp://0.0.0.0:#{CONFIG['port']}"
  puma.threads 12, 12
  puma.environment 'production'
  puma.app app.to_app
end
launcher = Puma::Launcher.new(configuration, events: Puma::Events.null)
launcher.events.on_booted do
  $stdout.puts "ready: puma #{Puma::Const::PUMA_VERSION}"
  $stdout.flush
end
launcher.run
