import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import javax.servlet.AsyncContext;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;

/**
 * The parcels on Tomcat: a thread for each request, and a carrier's quotes that come back later.
 *
 * <p>Faults, each a mistake that is made with servlets: `servlet-field` keeps the parcel of the request in a field of
 * the servlet, of which there is one for all threads; `colliding-reference` files the requests that wait for a quote
 * under a reference that two of them can have.
 */
public final class TrackingServer extends HttpServlet {
    private static final long serialVersionUID = 1L;
    private static final ScheduledExecutorService CARRIER = Executors.newScheduledThreadPool(2);
    private static final Map<String, Waiting> QUOTES = new ConcurrentHashMap<>();
    private static final List<Waiting> POLLS = new ArrayList<>();
    private static final double STARTED = Common.seconds();

    /** The mistake of `servlet-field`. */
    private String number;
    private Common.Asked asked;

    /** A request that is answered later. */
    private record Waiting(AsyncContext context, Common.Asked asked) {
    }

    private static boolean second() {
        return Common.seconds() - STARTED > Common.setting("second_version_after", 1e9);
    }

    @Override
    protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
        Common.Asked own = Common.Asked.by(request, new String(request.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
        String[] at = request.getRequestURI().substring(1).split("/");
        if (at[0].equals("quotes")) {
            quote(request, own);
        } else if (at[0].equals("events")) {
            poll(request, own);
        } else if (Common.fault("servlet-field") && at.length == 3 && at[2].equals("proof")) {
            number = at[1];
            asked = own;
            Common.pause(Common.slowness(own.name()));
            if (asked != own) {
                Common.log(Common.map("fault", "servlet-field", "request", own.name(), "at", Common.seconds()));
            }
            send(response, asked, 200, Parcels.envelope(Parcels.proof(number), false));
        } else {
            Common.pause(Common.slowness(own.name()));
            answer(request, response, own, at);
        }
    }

    private void answer(HttpServletRequest request, HttpServletResponse response, Common.Asked own, String[] at) throws IOException {
        boolean second = second();
        String what = at[0] + at.length;
        switch (what) {
            case "parcels2" -> {
                if (at[1].startsWith("XX")) {
                    send(response, own, 200, Parcels.failure("UNKNOWN_PARCEL", "No parcel " + at[1], second));
                } else if (at[1].endsWith(".xml")) {
                    send(response, own, 200, Parcels.label(at[1].replace(".xml", "")));
                } else {
                    Map<String, Object> parcel = Parcels.parcel(at[1]);
                    if (second) {
                        parcel.put("Promise", Common.map("Day", "2026-12-0" + (1 + Common.number(at[1], 9)), "Sure", Common.number(at[1] + "u", 2) == 0));
                        parcel.values().removeIf(value -> value == null);
                    }
                    send(response, own, 200, Parcels.envelope(parcel, second));
                }
            }
            case "parcels3" -> send(response, own, 200, Parcels.envelope(at[2].equals("proof") ? Parcels.proof(at[1]) : Parcels.scans(at[1]), second));
            case "depots2" -> send(response, own, 200, Parcels.envelope(Parcels.depot(at[1]), second));
            case "depots3" -> send(response, own, 200, Parcels.manifest(at[1], request.getParameter("day")));
            case "pickups1" -> send(response, own, 200, Parcels.envelope(Common.map("Reference", "PU" + Common.code(own.about() + own.received(), 8), "Window", "09:00-12:00"), second));
            case "health1" -> health(request, response, own, second);
            default -> send(response, own, 200, Parcels.failure("NO_SUCH_CALL", request.getRequestURI(), second));
        }
    }

    /** A balancer reads a word, people read JSON; the new version has something more to tell. */
    private void health(HttpServletRequest request, HttpServletResponse response, Common.Asked own, boolean second) throws IOException {
        if (request.getParameter("full") == null) {
            send(response, own, 200, new Parcels.Page("text/plain;charset=UTF-8", "UP".getBytes(StandardCharsets.UTF_8)));
        } else if (second) {
            send(response, own, 200, Parcels.json(Common.map("status", "UP", "checks", List.of(Common.map("name", "db", "ms", 2), Common.map("name", "carrier", "ms", 31)))));
        } else {
            send(response, own, 200, Parcels.json(Common.map("status", "UP", "threads", 10)));
        }
    }

    /** A quote comes from the carrier, by its reference, when the carrier has it. */
    private void quote(HttpServletRequest request, Common.Asked own) {
        AsyncContext context = request.startAsync();
        context.setTimeout(0);
        String from = request.getParameter("from");
        String to = request.getParameter("to");
        String grams = request.getParameter("grams");
        // the mistake: two requests in the same lane have the same reference
        String reference = Common.fault("colliding-reference") ? from + to : Common.code(own.toString(), 16);
        QUOTES.put(reference, new Waiting(context, own));
        CARRIER.schedule(() -> {
            Waiting waiting = QUOTES.remove(reference);
            Parcels.Page page = Parcels.envelope(Parcels.quote(from, to, grams), second());
            Common.answered(own, 200, page.body());
            if (waiting == null) {
                Common.log(Common.map("fault", "colliding-reference", "nobody waits for", own.name(), "at", Common.seconds()));
            } else {
                later(waiting.context, 200, page);
            }
        }, Math.max(20, Common.slowness(own.name())), TimeUnit.MILLISECONDS);
    }

    /** A long poll: what happened since, to all who wait for it, or nothing after a while. */
    private void poll(HttpServletRequest request, Common.Asked own) {
        AsyncContext context = request.startAsync();
        context.setTimeout(0);
        Waiting mine = new Waiting(context, own);
        synchronized (POLLS) {
            POLLS.add(mine);
        }
        long most = (long) (1000 * Double.parseDouble(Common.text(request.getParameter("wait")).isEmpty() ? "1" : request.getParameter("wait")));
        CARRIER.schedule(() -> tell(List.of(mine), List.of()), most, TimeUnit.MILLISECONDS);
    }

    private static void tell(List<Waiting> whom, List<Object> events) {
        for (Waiting one : whom) {
            synchronized (POLLS) {
                if (!POLLS.remove(one)) {
                    continue;
                }
            }
            Parcels.Page page = Parcels.envelope(Common.map("Events", events), second());
            Common.answered(one.asked, 200, page.body());
            later(one.context, 200, page);
        }
    }

    private static void happens(int n) {
        List<Waiting> all;
        synchronized (POLLS) {
            all = new ArrayList<>(POLLS);
        }
        tell(all, List.of(Common.map("Id", 7000 + n, "TrackingNumber", "WY" + (100000 + Common.number("event" + n, 800000)), "State", Common.pick("event" + n, "IN_TRANSIT", "DELIVERED"))));
    }

    private static void later(AsyncContext context, int status, Parcels.Page page) {
        try {
            write((HttpServletResponse) context.getResponse(), status, page);
            context.complete();
        } catch (IOException | IllegalStateException error) {
            Common.log(Common.map("failed", String.valueOf(error), "at", Common.seconds()));
        }
    }

    private static void send(HttpServletResponse response, Common.Asked made, int status, Parcels.Page page) throws IOException {
        Common.answered(made, status, page.body());
        write(response, status, page);
    }

    private static void write(HttpServletResponse response, int status, Parcels.Page page) throws IOException {
        response.setStatus(status);
        response.setContentType(page.kind());
        response.setHeader("X-Frame-Options", "DENY");
        response.setContentLength(page.body().length);
        response.getOutputStream().write(page.body());
    }

    public static void main(String[] arguments) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir((String) Common.CONFIG.get("directory"));
        tomcat.setPort((int) Common.setting("port", 3000));
        tomcat.getConnector().setProperty("address", "0.0.0.0");
        tomcat.getConnector().setProperty("maxThreads", "24");
        tomcat.getConnector().setProperty("maxKeepAliveRequests", "40");
        Context context = tomcat.addContext("", (String) Common.CONFIG.get("directory"));
        Tomcat.addServlet(context, "tracking", new TrackingServer()).setAsyncSupported(true);
        context.addServletMappingDecoded("/*", "tracking");
        tomcat.start();
        if (Common.CONFIG.get("events_every") instanceof Number every) {
            int[] n = {0};
            CARRIER.scheduleAtFixedRate(() -> happens(n[0]++), 500, every.longValue(), TimeUnit.MILLISECONDS);
        }
        System.out.println("ready: Tomcat");
        tomcat.getServer().await();
    }
}
