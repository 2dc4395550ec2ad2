import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A carrier's parcels: an envelope around everything, errors with status 200, XML labels, CSV manifests. */
final class Parcels {
    private Parcels() {
    }

    /** A body and its media type. */
    record Page(String kind, byte[] body) {
    }

    static Page json(Object made) {
        return new Page("application/json;charset=UTF-8", Common.Json.text(made).getBytes(StandardCharsets.UTF_8));
    }

    /** The envelope; the second version calls its parts otherwise and leaves out what is empty. */
    static Page envelope(Object payload, boolean second) {
        if (second) {
            return json(Common.map("data", payload, "meta", Common.map("version", 2, "node", "b")));
        }
        return json(Common.map("Status", "OK", "Payload", payload, "Errors", List.of(), "Warnings", null));
    }

    static Page failure(String code, String message, boolean second) {
        Map<String, Object> error = Common.map("Code", code, "Message", message);
        if (second) {
            return json(Common.map("error", Common.map("code", code, "detail", message)));
        }
        return json(Common.map("Status", "ERROR", "Payload", null, "Errors", List.of(error), "Warnings", null));
    }

    static Map<String, Object> parcel(String number) {
        String key = "parcel" + number;
        Map<String, Object> made = Common.map(
            "TrackingNumber", number, "Service", Common.pick(key, "Ground", "Express", "Freight"),
            "WeightGrams", 120 + Common.number(key + "w", 24000),
            "Recipient", Common.map("City", Common.pick(key + "c", "Laramie", "Casper", "Sheridan", "Cody"), "PostCode", "82" + (100 + Common.number(key, 900))),
            "State", Common.pick(key + "s", "CREATED", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED"),
            "SignedBy", Common.number(key + "b", 3) == 0 ? "R. " + Common.pick(key, "Holt", "Meyer", "Sato") : null);
        if (Common.number(key + "d", 4) == 0) {
            made.put("CashOnDelivery", Common.map("Amount", Common.number(key, 90000) / 100.0, "Currency", "USD"));
        }
        return made;
    }

    static Map<String, Object> proof(String number) {
        String key = "proof" + number;
        return Common.map("LeftAt", Common.pick(key, "front door", "neighbour", "locker", "reception"), "Signature", Common.number(key, 4) == 0 ? null : Common.code(key, 24),
            "Photo", Common.map("Width", 640, "Height", 480, "Href", "/img/" + Common.code(key + "p", 12) + ".jpg"), "Minute", Common.number(key + "m", 1440));
    }

    static List<Object> scans(String number) {
        List<Object> made = new ArrayList<>();
        String key = "scan" + number;
        for (int n = 0; n < Common.number(key, 6); n++) {
            made.add(Common.map("At", "2026-11-" + (10 + n) + "T0" + n + ":" + (10 + Common.number(key + n, 49)) + ":00Z",
                "Depot", Common.pick(key + n, "CYS-1", "DEN-4", "BIL-2", "SLC-9"), "Event", Common.pick(key + "e" + n, "ARRIVED", "SORTED", "LOADED", "DEPARTED")));
        }
        return made;
    }

    static Map<String, Object> quote(String from, String to, String grams) {
        String key = "quote" + from + to + grams;
        return Common.map("Zone", 1 + Common.number(from + to, 8), "Options", List.of(
            Common.map("Service", "Ground", "Cents", 600 + Common.number(key, 4000), "Days", 2 + Common.number(key, 5)),
            Common.map("Service", "Express", "Cents", 1900 + Common.number(key + "x", 9000), "Days", 1)));
    }

    static Map<String, Object> depot(String code) {
        String key = "depot" + code;
        return Common.map("Code", code, "Doors", 4 + Common.number(key, 40), "Manager", Common.pick(key, "A. Quist", "D. Amaro", "P. Lund"),
            "OpenHours", Common.map("Weekday", "06:00-22:00", "Sunday", Common.number(key, 2) == 0 ? null : "08:00-14:00"));
    }

    static Page label(String number) {
        Map<String, Object> parcel = parcel(number);
        Map<?, ?> to = (Map<?, ?>) parcel.get("Recipient");
        String made = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<label tracking=\"" + number + "\"><service>" + parcel.get("Service") + "</service><to><city>"
            + to.get("City") + "</city><zip>" + to.get("PostCode") + "</zip></to><barcode>" + Common.code(number, 20) + "</barcode></label>\n";
        return new Page("application/xml;charset=UTF-8", made.getBytes(StandardCharsets.UTF_8));
    }

    static Page manifest(String depot, String day) {
        StringBuilder made = new StringBuilder("tracking,service,grams\r\n");
        for (int n = 0; n < Common.number(depot + day, 9); n++) {
            Map<String, Object> parcel = parcel("WY" + (100000 + Common.number(depot + day + n, 800000)));
            made.append(parcel.get("TrackingNumber")).append(',').append(parcel.get("Service")).append(',').append(parcel.get("WeightGrams")).append("\r\n");
        }
        return new Page("text/csv;charset=UTF-8", made.toString().getBytes(StandardCharsets.UTF_8));
    }
}
