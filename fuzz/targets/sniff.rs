//! What a body seems to be, in place of a return or of an API's answer; and what matters of it.
//!
//! The input: JSON pointers on a line, the body behind it.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use vaguemestre::content::{self, MediaType, NotAReturn};

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(0);
    let (line, body) = (String::from_utf8_lossy(&bytes[..end]), &bytes[end..]);
    let body = body.get(1..).unwrap_or_default();
    let size = body.len() as u64;
    let judged = content::judge(Cursor::new(body), size).expect("no disk is read");
    let answer = content::judge_answer(Cursor::new(body), size).expect("no disk is read");
    match (&judged, &answer) {
        (Ok(one), Ok(other)) => assert_eq!(one, other),
        (Err(NotAReturn::Text { .. }), Ok(MediaType::Text)) => {}
        (Err(NotAReturn::Json | NotAReturn::JsonError(_)), Ok(MediaType::Json)) => {
            // In whatever encoding: it is kept as it came.
            serde_json::from_str::<&RawValue>(&String::from_utf8_lossy(body)).expect("it was accepted");
        }
        (Err(_), Err(_)) => {}
        (judged, answer) => panic!("{judged:?}, and {answer:?} of an API"),
    }
    if let Err(reason) = &judged {
        let text = reason.to_string();
        assert!(vaguemestre_fuzz::is_line(&text) && text.chars().count() < 500, "{text:?}");
    }
    // A body larger than what is looked at is judged by its beginning.
    let _ = content::judge(Cursor::new(body), size + 1);
    if let Some(error) = content::platform_error(body) {
        assert!(vaguemestre_fuzz::is_line(&error.to_string()) && error.message.chars().count() <= 200, "{error}");
    }
    let ignore: Vec<String> =
        line.split(' ').filter(|it| it.is_empty() || it.starts_with('/')).map(str::to_owned).collect();
    let digest = content::difference::digest(body, &ignore);
    assert_eq!(digest, content::difference::digest(body, &ignore));
});
