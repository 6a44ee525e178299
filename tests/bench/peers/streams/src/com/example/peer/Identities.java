package com.example.peer;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;

/** 32 bytes of topic, account, source and id; a UUID comes first, so that those of version 7 are in order of time. */
final class Identities {
    private static final int MOST_KEPT = 10_000;
    private static final int HALF = 16;

    private final Map<String, byte[]> halves = new HashMap<>();
    private final MessageDigest digest = sha256();

    byte[] of(String topic, Event event) {
        byte[] key = new byte[2 * HALF];
        if (writeUuid(event.id(), key)) {
            byte[] account = half(topic + "\0" + event.account());
            byte[] source = half(event.source());
            for (int i = 0; i < HALF; i++) {
                key[HALF + i] = (byte) (account[i] ^ source[i]);
            }
        } else {
            byte[] hash = hash(topic + "\0" + event.account() + "\0" + event.source() + "\0" + event.id());
            System.arraycopy(hash, 0, key, 6, key.length - 6);
        }
        return key;
    }

    private byte[] half(String text) {
        byte[] known = halves.get(text);
        if (known == null) {
            if (halves.size() >= MOST_KEPT) {
                halves.clear();
            }
            known = hash(text);
            halves.put(text, known);
        }
        return known;
    }

    private byte[] hash(String text) {
        return digest.digest(text.getBytes(StandardCharsets.UTF_8));
    }

    private static boolean writeUuid(String id, byte[] to) {
        if (id.length() != 36 || id.startsWith("00000000-0000-")) {
            return false;
        }
        int at = 0;
        for (int i = 0; i < 36; i++) {
            char c = id.charAt(i);
            if (i == 8 || i == 13 || i == 18 || i == 23) {
                if (c != '-') {
                    return false;
                }
            } else if (!HexFormat.isHexDigit(c)) {
                return false;
            } else {
                to[at / 2] = (byte) (to[at / 2] << 4 | HexFormat.fromHexDigit(c));
                at++;
            }
        }
        return true;
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error);
        }
    }
}
