//! Files of many makers, and what is none.

use super::*;

fn read(text: &str) -> Vec<(String, i32)> {
    let readings = parse(text.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal}: {text}"));
    readings.iter().map(|reading| (reading.at.format("%d %H:%M").to_string(), reading.hundredths)).collect()
}

fn refused(text: &[u8]) -> String {
    parse(text).expect_err("no log").to_string()
}

#[test]
fn makers_write_one_thing_in_many_ways() {
    let expected = [("15 07:00".to_owned(), -1_840), ("15 07:15".to_owned(), -1_795)];
    for text in [
        "Time,Temperature (°C)\n2026-01-15 07:00:00,-18.4\n2026-01-15 07:15:00,-17.95\n",
        "\u{feff}Serial number,AB12\r\nInterval,15 min\r\n\r\nNo.,Date/Time,Temp\r\n1,15/01/2026 07:00,-18.40\r\n2,15/01/2026 07:15,-17.95\r\n",
        "Index;Date;Time;Temp. [°C];Humidity\n1;15.01.2026;07:00:00;-18,4;40\n2;15.01.2026;07:15:00;-17,95;41\n",
        "Timestamp (UTC)\tTemperature\n2026-01-15T07:15:00Z\t−17.95 °C\n2026-01-15T07:00:00Z\t−18.4 °C\n",
        "\"Date Time, GMT+00:00\",\"Temp, °F\"\n\"2026-01-15 07:00\",\"-1.12\"\n\"2026-01-15 07:15\",\"-0.31\"\n",
        "time,temp\n2026-01-15 07:00:00,-18.4\n2026-01-15 07:15:00,-17.95\n2026-01-15 07:15:00,-18.9\n",
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn latin_letters_of_an_old_program_are_read() {
    let text = b"Time;Temp (\xb0C)\n15-01-2026 07:00;4,0\n";
    assert_eq!(parse(text).map(|readings| readings[0].hundredths), Ok(400));
}

#[test]
fn a_clock_on_the_wall_is_londons_and_its_doubled_hour_goes_on() {
    let text = "Time,Temp\n2026-07-01 12:00,4\n2026-10-25 00:45,1\n2026-10-25 01:15,2\n2026-10-25 01:45,3\n2026-10-25 01:15,4\n2026-10-25 01:45,5\n2026-10-25 02:15,6\n";
    let times: Vec<String> = read(text).into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, ["01 11:00", "24 23:45", "25 00:15", "25 00:45", "25 01:15", "25 01:45", "25 02:15"]);
    // The hour that spring leaves out is nobody's.
    assert!(refused(b"Time,Temp\n2026-03-29 01:30,4\n2026-03-29 02:30,4\n").contains("1 of 2 rows are no readings; the first is row 1"));
}

#[test]
fn a_few_notes_of_the_device_are_left_out_and_many_are_another_file() {
    let rows: Vec<String> = (0..20).map(|minute| format!("2026-01-15 07:{minute:02},-18\n")).collect();
    let text = format!("Time,Temp\n{}", rows.concat());
    assert_eq!(read(&format!("{text}2026-01-15 07:30,ERR\nEnd of data\n,\n")).len(), 20);
    assert_eq!(refused(format!("{text}{}", "x,y\n".repeat(3)).as_bytes()), "3 of 23 rows are no readings; the first is row 21");
}

#[test]
fn what_is_no_log_is_named() {
    for (text, why) in [
        (&b""[..], "no line names a time and a temperature"),
        (b"hello", "no line names"),
        (b"{\"time\": 1, \"temp\": 2}", "the file has no reading"),
        (b"Time,Temp\n", "the file has no reading"),
        (b"Time,Temp\n2026-01-15 07:00,\n", "the file has no reading"),
        (b"Time,Temp\n2026-01-15 07:00,nan\n", "the file has no reading"),
        (b"Time,Temp\n2026-01-15 07:00,1e300\n", "the file has no reading"),
        (b"Time,Temp\n2026-01-15 07:00,900\n", "the file has no reading"),
        (b"Time,Temp\n31/02/2026 07:00,4\n", "the file has no reading"),
        (b"T\0i\0m\0e\0", "U+0000"),
        (b"Time,\"Temp\n2026-01-15 07:00,4\n", "no reading"),
    ] {
        let refusal = refused(text);
        assert!(refusal.contains(why), "{refusal}: {}", String::from_utf8_lossy(text));
    }
    let endless = format!("Time,Temp\n{}", "2026-01-15 07:00,4\n".repeat(LIMIT + 1));
    assert_eq!(refused(endless.as_bytes()), format!("the file has more than {LIMIT} readings"));
}

/// No bytes make it panic, and what it takes lies within what loggers measure.
#[test]
fn mangled_files_are_refused_or_read() {
    let sound = b"Serial,1\nDate;Time,Temp (\xb0C)\n15/01/2026 07:00,-18.4\n2026-01-15T07:15:00Z,\"-17,9\"\n".to_vec();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..5_000 {
        let mut bytes = sound.clone();
        for _ in 0..4 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = (random >> 33) as usize % bytes.len();
            bytes[place] = [b',', b';', b'\n', b'"', b'-', 0xff, b'9', (random >> 20) as u8][(random >> 60) as usize % 8];
        }
        if let Ok(readings) = parse(&bytes) {
            assert!(readings.iter().all(|reading| reading.hundredths.abs() <= 10_000), "{}", String::from_utf8_lossy(&bytes));
            assert!(readings.is_sorted_by(|one, next| one.at < next.at), "{}", String::from_utf8_lossy(&bytes));
        }
    }
}
