package com.example.peer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.Map;

/** Reads structured CloudEvents of the four kinds of usage, and openings of accounts. */
final class Reader {
    private static final JsonFactory JSON = new JsonFactory();
    private static final long MOST = 10_000_000L * Balance.MICRO;
    private static final Duration AHEAD = Duration.ofHours(1);
    private static final Duration BEHIND = Duration.ofDays(400);
    private static final int OPENED = 10;
    private static final int TOOL_RUN = 4;

    private record Kind(String topic, int code, int resource, String name) {}

    private static final Map<String, Kind> KINDS = Map.of(
        "usage.model_inference.v1", new Kind(Judge.USAGE, 1, Judged.CREDITS, "model"),
        "usage.guardrail.v1", new Kind(Judge.USAGE, 2, Judged.CREDITS, "guardrail"),
        "usage.custom_script.v1", new Kind(Judge.USAGE, 3, Judged.CREDITS, "script"),
        "usage.tool_run.v1", new Kind(Judge.USAGE, TOOL_RUN, Judged.RUNS, "tool"),
        "account.opened.v1", new Kind(Judge.ACCOUNTS, OPENED, Judged.OPENING, "plan"));

    private String version;
    private String id;
    private String source;
    private String type;
    private String subject;
    private String time;
    private boolean hasData;
    private String credits;
    private String runs;
    private String model;
    private String guardrail;
    private String script;
    private String tool;
    private String plan;

    Event read(String topic, String key, byte[] value) throws FaultException {
        if (value == null || value.length == 0) {
            throw new FaultException("empty");
        }
        clear();
        try (JsonParser parser = JSON.createParser(value)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw new FaultException("not_cloudevents");
            }
            readAttributes(parser);
            if (parser.nextToken() != null) {
                throw new FaultException("invalid_json");
            }
        } catch (IOException error) {
            throw new FaultException("invalid_json");
        }
        return check(topic, key);
    }

    private void clear() {
        version = id = source = type = subject = time = credits = runs = model = guardrail = script = tool = plan = null;
        hasData = false;
    }

    private void readAttributes(JsonParser parser) throws IOException {
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            String name = parser.currentName();
            JsonToken token = parser.nextToken();
            switch (name) {
                case "specversion" -> version = parser.getText();
                case "id" -> id = text(parser, token);
                case "source" -> source = text(parser, token);
                case "type" -> type = text(parser, token);
                case "subject" -> subject = text(parser, token);
                case "time" -> time = text(parser, token);
                case "data" -> readData(parser, token);
                default -> parser.skipChildren();
            }
        }
    }

    private void readData(JsonParser parser, JsonToken token) throws IOException {
        if (token != JsonToken.START_OBJECT) {
            parser.skipChildren();
            return;
        }
        hasData = true;
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            String name = parser.currentName();
            JsonToken value = parser.nextToken();
            switch (name) {
                case "credits" -> credits = scalar(parser, value);
                case "runs" -> runs = scalar(parser, value);
                case "model" -> model = text(parser, value);
                case "guardrail" -> guardrail = text(parser, value);
                case "script" -> script = text(parser, value);
                case "tool" -> tool = text(parser, value);
                case "plan" -> plan = text(parser, value);
                default -> parser.skipChildren();
            }
        }
    }

    private static String text(JsonParser parser, JsonToken token) throws IOException {
        if (token == JsonToken.VALUE_STRING) {
            return parser.getText();
        }
        parser.skipChildren();
        return null;
    }

    private static String scalar(JsonParser parser, JsonToken token) throws IOException {
        return token.isNumeric() ? parser.getText() : text(parser, token);
    }

    private Event check(String topic, String key) throws FaultException {
        if (!"1.0".equals(version)) {
            throw new FaultException("not_cloudevents");
        }
        if (id == null || !isId(id)) {
            throw new FaultException("invalid_id");
        }
        if (source == null || source.isEmpty() || source.length() > 1024) {
            throw new FaultException("invalid_source");
        }
        if (subject == null || !isAccount(subject)) {
            throw new FaultException("invalid_subject");
        }
        if (key != null && !key.equals(subject)) {
            throw new FaultException("key_mismatch");
        }
        checkTime();
        Kind kind = type == null ? null : KINDS.get(type);
        if (kind == null || !kind.topic().equals(topic)) {
            throw new FaultException("unknown_type");
        }
        if (!hasData) {
            throw new FaultException("invalid_data");
        }
        return new Event(id, source, subject, kind.code(), kind.resource(), amount(kind), name(kind));
    }

    private void checkTime() throws FaultException {
        try {
            Instant moment = OffsetDateTime.parse(time == null ? "" : time).toInstant();
            Instant now = Instant.now();
            if (moment.isAfter(now.plus(AHEAD)) || moment.isBefore(now.minus(BEHIND))) {
                throw new FaultException("time_out_of_range");
            }
        } catch (DateTimeException error) {
            throw new FaultException("invalid_time");
        }
    }

    private String name(Kind kind) throws FaultException {
        String name = switch (kind.name()) {
            case "model" -> model;
            case "guardrail" -> guardrail;
            case "script" -> script;
            case "tool" -> tool;
            default -> plan;
        };
        if (name == null || name.isBlank()) {
            throw new FaultException("invalid_data");
        }
        return name;
    }

    private long amount(Kind kind) throws FaultException {
        long amount = switch (kind.resource()) {
            case Judged.OPENING -> 0;
            case Judged.CREDITS -> amount(credits);
            default -> runs == null ? Balance.MICRO : amount(runs);
        };
        if (amount > MOST || (kind.code() == TOOL_RUN && (amount == 0 || amount % Balance.MICRO != 0))) {
            throw new FaultException("invalid_amount");
        }
        return amount;
    }

    /** Micro-units of a decimal text with at most six decimals that are not zero. */
    private static long amount(String text) throws FaultException {
        int length = text == null ? 0 : text.length();
        int point = text == null ? -1 : text.indexOf('.');
        int end = length;
        while (point >= 0 && text.charAt(end - 1) == '0') {
            end--;
        }
        int whole = point < 0 ? length : point;
        if (whole < 1 || whole > 12 || point == length - 1 || end - whole > 7) {
            throw new FaultException("invalid_amount");
        }
        long amount = 0;
        for (int i = 0; i <= whole + 6; i++) {
            if (i == whole) {
                continue;
            }
            char digit = i < end ? text.charAt(i) : '0';
            if (digit < '0' || digit > '9') {
                throw new FaultException("invalid_amount");
            }
            amount = amount * 10 + digit - '0';
        }
        return amount;
    }

    private static boolean isId(String id) {
        boolean solid = false;
        for (int i = 0; i < id.length(); i++) {
            char c = id.charAt(i);
            if (c < ' ' || c > '~') {
                return false;
            }
            solid |= c != ' ';
        }
        return solid && id.length() <= 128;
    }

    private static boolean isAccount(String id) {
        for (int i = 0; i < id.length(); i++) {
            char c = id.charAt(i);
            boolean letter = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9';
            if (!letter && "._:@-".indexOf(c) < 0) {
                return false;
            }
        }
        return !id.isEmpty() && id.length() <= 128;
    }
}
