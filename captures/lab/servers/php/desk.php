<?php
// A help desk on php-fpm behind nginx: one path, and `r` says what is wanted; JSON, XML or CSV by `format`.
//
// Faults, each a mistake that is made in this language: `owed-answer` gives up on a persistent connection
// (pfsockopen) to its store after a while and leaves it open, so that the next request in this worker reads the
// answer to the one before; `key-without-tenant` forgets whose board it is in the cache's key.

declare(strict_types=1);

$config = json_decode(getenv('WF_SERVER'), true);
$body = (string) file_get_contents('php://input');
$asked = asked($body);

/** The request that a response is made for: what the log tells of it. */
function asked(string $body): array
{
    [$id, $token, $cookie] = [$_SERVER['HTTP_X_REQUEST_ID'] ?? '', $_SERVER['HTTP_AUTHORIZATION'] ?? '', $_SERVER['HTTP_COOKIE'] ?? ''];
    return [
        'peer' => $_SERVER['REMOTE_ADDR'] . ':' . $_SERVER['REMOTE_PORT'],
        'method' => $_SERVER['REQUEST_METHOD'],
        'target' => $_SERVER['REQUEST_URI'],
        'about' => $id === '' && $body === '' ? null : substr(hash('sha256', "$id\n$body"), 0, 12),
        'who' => $token === '' && $cookie === '' ? null : substr(hash('sha256', "$token\n$cookie"), 0, 12),
        'received' => microtime(true),
    ];
}

function write_log(array $row): void
{
    global $config;
    file_put_contents($config['log'], json_encode($row, JSON_UNESCAPED_SLASHES) . "\n", FILE_APPEND | LOCK_EX);
}

function slowness(string $name): int
{
    global $config;
    foreach ($config['slow'] ?? [] as $pattern => $milliseconds) {
        if ($pattern === $name || (str_ends_with($pattern, '*') && str_starts_with($name, substr($pattern, 0, -1)))) {
            return $milliseconds;
        }
    }
    return 0;
}

/** A stable number below a limit: the same key always gives the same, as a database would. */
function number(string $key, int $limit): int
{
    return unpack('N', md5($key, true))[1] % $limit;
}

function pick(string $key, array $choices): mixed
{
    return $choices[number($key, count($choices))];
}

/** Send an answer, and tell which bytes were made for which request. */
function answer(array $made, int $status, string $kind, string $text): never
{
    http_response_code($status);
    header("Content-Type: $kind");
    header('X-Powered-By: desk');
    $sent = $made['method'] === 'HEAD' ? '' : $text;
    write_log($made + ['written' => microtime(true), 'status' => $status, 'length' => strlen($sent), 'sha256' => hash('sha256', $sent)]);
    if (strlen($text) < 2000) {
        header('Content-Length: ' . strlen($text)); // longer ones are chunked by nginx
    }
    echo $text;
    exit;
}

function xml(string $name, mixed $value): string
{
    if (is_array($value)) {
        $inner = '';
        foreach ($value as $key => $one) {
            $inner .= xml(is_int($key) ? 'item' : $key, $one);
        }
        return "<$name>$inner</$name>";
    }
    return $value === null ? "<$name nil=\"true\"/>" : "<$name>" . htmlspecialchars(is_bool($value) ? ($value ? 'yes' : 'no') : (string) $value) . "</$name>";
}

/** The envelope, in the format that was asked for. */
function reply(array $made, mixed $result, ?string $error = null): never
{
    $document = $error === null ? ['ok' => true, 'result' => $result] : ['ok' => false, 'error' => $error, 'result' => null];
    if (($_GET['format'] ?? 'json') === 'xml') {
        answer($made, 200, 'text/xml; charset=utf-8', '<?xml version="1.0"?>' . "\n" . xml('reply', $document));
    }
    answer($made, 200, 'application/json', json_encode($document));
}

function ticket(string $id): array
{
    $key = "ticket$id";
    $made = [
        'ticket_id' => (int) $id, 'subject' => pick($key, ['Printer on fire', 'Cannot sign in', 'Invoice is wrong', 'Please delete me', 'VPN drops']),
        'opened_by' => pick("o$key", ['holt', 'sato', 'lund', 'amaro', 'quist']), 'priority' => 1 + number("p$key", 4), 'assignee' => number("a$key", 3) ? pick($key, ['desk1', 'desk2', 'nights']) : null,
        'tags' => array_slice(['vpn', 'urgent', 'billing', 'hardware'], number("t$key", 4)),
    ];
    if (number("c$key", 3) === 0) {
        $made['closed'] = ['reason' => pick("r$key", ['solved', 'duplicate', 'no answer']), 'after_hours' => number("h$key", 400)];
    }
    return $made;
}

function queue(string $name, string $page): array
{
    $rows = [];
    for ($n = 0; $n < number("queue$name$page", 6); $n++) {
        $t = ticket((string) number("$name$page$n", 9000));
        $rows[] = ['ticket_id' => $t['ticket_id'], 'subject' => $t['subject'], 'priority' => $t['priority']];
    }
    return $rows;
}

function article(string $slug): array
{
    return ['slug' => $slug, 'views' => number("v$slug", 90000), 'html' => '<p>' . pick("1$slug", ['Restart it.', 'Ask the owner of the list.', 'Wait for an hour.']) . ' ' . pick("2$slug", ['Then try again.', 'Write down what it says.']) . '</p>', 'see_also' => number($slug, 2) ? [pick($slug, ['vpn-basics', 'reset-password', 'new-laptop'])] : []];
}

function customer(string $id): array
{
    $key = "customer$id";
    return ['customer' => ['no' => (int) $id, 'company' => pick($key, ['Antler Dairy', 'Basin Freight', 'Cody Tools', 'Depot 9']), 'contract' => ['level' => pick("l$key", ['basic', 'plus', 'premium']), 'until' => '202' . (6 + number("u$key", 4)) . '-12-31'], 'phone' => number("f$key", 4) ? '+1 307 555 0' . (100 + number("g$key", 899)) : null]];
}

function board(string $who, string $period): array
{
    $key = "board$who$period";
    return ['tenant' => pick("n$who", ['Antler Dairy', 'Basin Freight', 'Cody Tools', 'Depot 9', 'Elk Foods', 'Flats Inn']) . ' ' . number("m$who", 90), 'open' => number("o$key", 300), 'overdue' => number("d$key", 40), 'median_minutes' => number("e$key", 900), 'by_agent' => ['desk1' => number("1$key", 99), 'nights' => number("2$key", 99)]];
}

/** The agreement of a ticket, from the store: a line is asked, a line comes back. */
function agreement(string $id, array $asked): never
{
    global $config;
    $store = pfsockopen("unix://{$config['directory']}/store.sock");
    stream_set_timeout($store, 0, 400_000);
    fwrite($store, json_encode(['ticket' => $id, 'asked' => $asked]) . "\n");
    $line = fgets($store);
    if ($line === false) {
        if (($config['fault']['name'] ?? '') !== 'owed-answer') {
            fclose($store);
        } // the mistake: the connection is persistent, and its answer is still to come
        write_log(['fault' => 'owed-answer', 'request' => $asked['target'], 'at' => microtime(true)]);
        answer($asked, 200, 'application/json', json_encode(['ok' => false, 'error' => 'STORE_SLOW', 'result' => null]));
    }
    $found = json_decode($line, true); // what was asked comes back too, and nobody here compares it
    reply($found['asked'], $found['agreement']);
}

if (isset($config['maintenance'])) {
    $age = microtime(true) - filemtime("{$config['directory']}/php-fpm.conf");
    if ($age > $config['maintenance'][0] && $age < $config['maintenance'][1] && ($_GET['r'] ?? '') !== 'ping') {
        header('Retry-After: 2');
        answer($asked, 503, 'text/html; charset=utf-8', "<!DOCTYPE html><title>Back soon</title><h1>We are back in a minute</h1>\n");
    }
}
usleep(1000 * slowness("{$asked['method']} {$asked['target']}"));
$id = (string) ($_GET['id'] ?? '');
switch ($_GET['r'] ?? '') {
    case 'ticket.view':
        reply($asked, (int) $id < 100 ? null : ticket($id), (int) $id < 100 ? 'NO_SUCH_TICKET' : null);
    case 'ticket.list':
        reply($asked, queue($_GET['queue'] ?? '', $_GET['page'] ?? '0'));
    case 'ticket.reply':
        parse_str($body, $form);
        reply($asked, ['ticket_id' => (int) ($form['id'] ?? 0), 'message_id' => substr(sha1($body . $asked['received']), 0, 10)]);
    case 'ticket.sla':
        agreement($id, $asked);
    case 'kb.article':
        reply($asked, article($id));
    case 'customer.card':
        reply($asked, customer($id));
    case 'board':
        $period = $_GET['period'] ?? 'week';
        if ($asked['who'] === null) {
            header('WWW-Authenticate: Basic realm="desk"');
            answer($asked, 401, 'application/json', '{"ok":false,"error":"WHO_ARE_YOU","result":null}');
        }
        $key = "board:$period:{$asked['who']}";
        if ($period === 'month' && ($config['fault']['name'] ?? '') === 'key-without-tenant') {
            $key = "board:$period"; // the mistake
        }
        $cached = apcu_fetch($key);
        if ($cached === false) {
            $cached = ['asked' => $asked, 'board' => board($asked['who'], $period)];
            apcu_store($key, $cached, 3);
        }
        if ($cached['asked']['who'] !== $asked['who']) {
            write_log(['fault' => 'key-without-tenant', 'request' => $asked['target'], 'at' => microtime(true)]);
            reply($cached['asked'], $cached['board']);
        }
        reply($asked, $cached['board']);
    case 'export':
        $rows = "ticket_id;subject;priority\n";
        for ($n = 0; $n < 10 + number($id, 60); $n++) {
            $t = ticket((string) number("$id$n", 9000));
            $rows .= "{$t['ticket_id']};{$t['subject']};{$t['priority']}\n";
        }
        answer($asked, 200, 'text/csv; charset=utf-8', $rows);
    case 'ping':
        answer($asked, 200, 'text/plain', isset($_GET['v']) ? "desk 4.2 php\n" : "pong\n");
    default:
        reply($asked, null, 'NO_SUCH_CALL');
}
