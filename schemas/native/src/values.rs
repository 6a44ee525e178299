//! The values of an event: ids, names, amounts, times. Every function gives None for what the Python readers must judge.

use serde_json::value::RawValue;

const MICRO: i64 = 1_000_000;
const MOST_WHOLE_DIGITS: usize = 12;
const MOST_DECIMALS: usize = 6;
/// Digits before the point of a number for information that is within every limit there is.
const FEW_DIGITS: usize = 5;
const MOST_MEASURE_CHARS: usize = 16;
const UUID_CHARS: usize = 36;

/// Micro-units of a decimal text, or of a JSON number without an exponent.
pub fn read_amount(credits: &RawValue) -> Option<i64> {
    let text = credits.get();
    let text = text.strip_prefix('"').map_or(Some(text), |rest| rest.strip_suffix('"'))?;
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (text, ""),
    };
    if !(1..=MOST_WHOLE_DIGITS).contains(&whole.len()) || fraction.len() > MOST_DECIMALS {
        return None;
    }
    let mut amount = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        amount = amount * 10 + read_digit(digit)?;
    }
    (fraction.len()..MOST_DECIMALS).try_fold(amount, |amount: i64, _| amount.checked_mul(10))
}

pub fn runs_to_micro(runs: u64) -> Option<i64> {
    i64::try_from(runs).ok()?.checked_mul(MICRO)
}

fn read_digit(digit: u8) -> Option<i64> {
    digit.is_ascii_digit().then(|| i64::from(digit - b'0'))
}

/// Whether it is a number, zero or above, within the limit of every field for information.
pub fn is_measure(value: &RawValue) -> bool {
    let text = value.get();
    let whole = text.split('.').next().unwrap_or("");
    text.len() <= MOST_MEASURE_CHARS
        && whole.len() <= FEW_DIGITS
        && text.bytes().all(|c| c.is_ascii_digit() || c == b'.')
}

pub fn is_few(count: u64) -> bool {
    count < 10_u64.pow(FEW_DIGITS as u32)
}

/// `schemas.parsing.envelope.ACCOUNT`.
pub fn is_account(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"._:@-".contains(&c))
}

/// Names begin with no blank: one of blanks alone is none. Their characters were looked at with the whole event.
pub fn is_name(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && !text.starts_with(' ') && is_one_line(text)
}

fn is_one_line(text: &str) -> bool {
    text.bytes().all(|c| c >= b' ')
}

pub fn is_id(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().any(|c| c != b' ')
}

/// The bytes of a UUID in its usual form; None for any other id.
pub fn read_uuid(text: &str) -> Option<[u8; 16]> {
    let chars = text.as_bytes();
    if chars.len() != UUID_CHARS {
        return None;
    }
    let mut uuid = [0; 16];
    let mut digits = 0;
    for (at, c) in chars.iter().enumerate() {
        if matches!(at, 8 | 13 | 18 | 23) {
            if *c != b'-' {
                return None;
            }
            continue;
        }
        let digit = char::from(*c).to_digit(16)? as u8;
        uuid[digits / 2] |= if digits % 2 == 0 { digit << 4 } else { digit };
        digits += 1;
    }
    Some(uuid)
}

/// Microseconds since 1970 of a time in UTC like `2026-03-01T12:00:00.123456Z`.
pub fn read_time(text: &str) -> Option<i64> {
    let chars = text.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if chars.len() < 20 || chars.last() != Some(&b'Z') || marks.iter().any(|(at, mark)| chars[*at] != *mark) {
        return None;
    }
    let number = |from: usize, to: usize| chars[from..to].iter().try_fold(0, |n, c| Some(n * 10 + read_digit(*c)?));
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let fraction = &chars[19..chars.len() - 1];
    let micros = match fraction.split_first() {
        None => 0,
        Some((b'.', digits)) if (1..=MOST_DECIMALS).contains(&digits.len()) => {
            let read = number(20, chars.len() - 1)?;
            (digits.len()..MOST_DECIMALS).fold(read, |micros, _| micros * 10)
        }
        Some(_) => return None,
    };
    if year < 1 || hour > 23 || minute > 59 || second > 59 || day < 1 || day > days_of(year, month)? {
        return None;
    }
    let seconds = (days_since_1970(year, month, day) * 24 + hour) * 3600 + minute * 60 + second;
    Some(seconds * MICRO + micros)
}

fn days_of(year: i64, month: i64) -> Option<i64> {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => Some(29),
        2 => Some(28),
        4 | 6 | 9 | 11 => Some(30),
        1..=12 => Some(31),
        _ => None,
    }
}

/// Years are counted from March, so that the leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month < 3 { year - 1 } else { year };
    let month = (month + 9) % 12;
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}
