import java.io.IOException;
import java.io.Writer;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.servlet.http.HttpServletRequest;

/** What the Java servers share: configuration, log, JSON and invented facts, as servers/python/common.py. */
final class Common {
    static final Map<?, ?> CONFIG = (Map<?, ?>) new Json(System.getenv("WF_SERVER")).value();
    private static final Writer LOG = open();

    private Common() {
    }

    private static Writer open() {
        try {
            return Files.newBufferedWriter(Path.of((String) CONFIG.get("log")), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    /** The request that a response is made for: what the log tells of it. */
    record Asked(String method, String target, String peer, String about, String who, double received) {
        static Asked by(HttpServletRequest request, String body) {
            String query = request.getQueryString();
            String id = text(request.getHeader("X-Request-Id"));
            String token = text(request.getHeader("Authorization"));
            String cookie = text(request.getHeader("Cookie"));
            return new Asked(
                request.getMethod(), request.getRequestURI() + (query == null ? "" : "?" + query),
                request.getRemoteAddr() + ":" + request.getRemotePort(),
                id.isEmpty() && body.isEmpty() ? null : hash("SHA-256", id + "\n" + body).substring(0, 12),
                token.isEmpty() && cookie.isEmpty() ? null : hash("SHA-256", token + "\n" + cookie).substring(0, 12),
                seconds());
        }

        String name() {
            return method + " " + target;
        }
    }

    static String text(String value) {
        return value == null ? "" : value;
    }

    static double seconds() {
        return System.currentTimeMillis() / 1000.0;
    }

    /** Tell which bytes were made for which request. */
    static void answered(Asked asked, int status, byte[] body) {
        byte[] sent = asked.method.equals("HEAD") || status == 204 || status == 304 ? new byte[0] : body;
        Map<String, Object> row = new LinkedHashMap<>();
        row.put("peer", asked.peer);
        row.put("method", asked.method);
        row.put("target", asked.target);
        row.put("about", asked.about);
        row.put("who", asked.who);
        row.put("received", asked.received);
        row.put("written", seconds());
        row.put("status", status);
        row.put("length", sent.length);
        row.put("sha256", HexFormat.of().formatHex(digest("SHA-256", sent)));
        log(row);
    }

    static synchronized void log(Map<String, Object> row) {
        try {
            LOG.write(Json.text(row) + "\n");
            LOG.flush();
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    static byte[] digest(String algorithm, byte[] bytes) {
        try {
            return MessageDigest.getInstance(algorithm).digest(bytes);
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }

    static String hash(String algorithm, String text) {
        return HexFormat.of().formatHex(digest(algorithm, text.getBytes(StandardCharsets.UTF_8)));
    }

    /** A stable number below a limit: the same key always gives the same, as a database would. */
    static int number(String key, int limit) {
        int value = ByteBuffer.wrap(digest("MD5", key.getBytes(StandardCharsets.UTF_8))).getInt();
        return (int) (Integer.toUnsignedLong(value) % limit);
    }

    static String pick(String key, String... choices) {
        return choices[number(key, choices.length)];
    }

    static String code(String key, int length) {
        return hash("SHA-1", key).substring(0, length);
    }

    static boolean matches(String pattern, String name) {
        return pattern.equals(name) || pattern.endsWith("*") && name.startsWith(pattern.substring(0, pattern.length() - 1));
    }

    /** Milliseconds that a request takes, by the scenario. */
    static long slowness(String name) {
        if (CONFIG.get("slow") instanceof Map<?, ?> slow) {
            for (Map.Entry<?, ?> entry : slow.entrySet()) {
                if (matches((String) entry.getKey(), name)) {
                    return ((Number) entry.getValue()).longValue();
                }
            }
        }
        return 0;
    }

    static boolean fault(String name) {
        return CONFIG.get("fault") instanceof Map<?, ?> fault && name.equals(fault.get("name"));
    }

    static double setting(String name, double otherwise) {
        return CONFIG.get(name) instanceof Number number ? number.doubleValue() : otherwise;
    }

    static void pause(long milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }

    /** A map that keeps the order in which it is written down. */
    static Map<String, Object> map(Object... pairs) {
        Map<String, Object> made = new LinkedHashMap<>();
        for (int n = 0; n < pairs.length; n += 2) {
            made.put((String) pairs[n], pairs[n + 1]);
        }
        return made;
    }

    /** As much JSON as is needed here. */
    static final class Json {
        private final String text;
        private int at;

        Json(String text) {
            this.text = text;
        }

        Object value() {
            space();
            char first = text.charAt(at);
            if (first == '{') {
                Map<String, Object> made = new LinkedHashMap<>();
                for (at++, space(); text.charAt(at) != '}'; space()) {
                    String key = (String) value();
                    space();
                    at++;
                    made.put(key, value());
                    space();
                    at += text.charAt(at) == ',' ? 1 : 0;
                }
                at++;
                return made;
            }
            if (first == '[') {
                List<Object> made = new java.util.ArrayList<>();
                for (at++, space(); text.charAt(at) != ']'; space()) {
                    made.add(value());
                    space();
                    at += text.charAt(at) == ',' ? 1 : 0;
                }
                at++;
                return made;
            }
            if (first == '"') {
                StringBuilder made = new StringBuilder();
                for (at++; text.charAt(at) != '"'; at++) {
                    made.append(text.charAt(at) == '\\' ? text.charAt(++at) : text.charAt(at));
                }
                at++;
                return made.toString();
            }
            int begin = at;
            while (at < text.length() && ",]} \n".indexOf(text.charAt(at)) < 0) {
                at++;
            }
            String word = text.substring(begin, at);
            return switch (word) {
                case "true" -> Boolean.TRUE;
                case "false" -> Boolean.FALSE;
                case "null" -> null;
                default -> Double.valueOf(word);
            };
        }

        private void space() {
            while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
                at++;
            }
        }

        static String text(Object value) {
            if (value instanceof Map<?, ?> map) {
                StringBuilder made = new StringBuilder("{");
                for (Map.Entry<?, ?> entry : map.entrySet()) {
                    made.append(made.length() > 1 ? "," : "").append(text(entry.getKey())).append(':').append(text(entry.getValue()));
                }
                return made.append('}').toString();
            }
            if (value instanceof List<?> list) {
                StringBuilder made = new StringBuilder("[");
                for (Object one : list) {
                    made.append(made.length() > 1 ? "," : "").append(text(one));
                }
                return made.append(']').toString();
            }
            if (value instanceof String string) {
                return '"' + string.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + '"';
            }
            return value instanceof Double number ? String.format(java.util.Locale.ROOT, "%.6f", number) : String.valueOf(value);
        }
    }
}
