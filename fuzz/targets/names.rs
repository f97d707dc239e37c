//! Names from outside: never a path, never too long, and no two are one.
//!
//! The input: two texts, a line each.
#![no_main]

use std::path::Component;

use libfuzzer_sys::fuzz_target;
use vaguemestre::archive::layout::{SealedName, inbox_path, parse_sealed, safe_name, stem};
use vaguemestre::config::Patterns;
use vaguemestre::feed::FeedName;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (one, other) = text.split_once('\n').unwrap_or((&text, ""));
    assert_eq!(one == other, safe(one) == safe(other), "{one:?} and {other:?}");
    let feed: FeedName = "fast/mairie/chorus".parse().expect("a name");
    let place = stem(&feed, one, jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(place.matches('/').count(), 7, "{place}");
    for name in [None, Some(other)] {
        let path = inbox_path(&feed, one, name, "xml");
        assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{path:?}");
        let file = path.strip_prefix("fast/mairie/chorus").expect("it lies in its folder");
        assert!(file.components().count() == 1 && file.as_os_str().len() <= 255, "{file:?}");
    }
    if let Some(name) = parse_sealed(one) {
        let SealedName { sha256, .. } = &name;
        assert!(sha256.len() == 64 && parse_sealed(&name.file_name()) == Some(name));
    }
    let named = one.parse::<FeedName>();
    if let Ok(named) = &named {
        assert_eq!(named.to_string(), one);
        assert_eq!([named.platform(), named.account(), named.kind()].join("/"), one);
        assert_eq!(safe(&named.as_str().replace('/', ".")), named.as_str().replace('/', "."));
    }
    if let Ok(patterns) = Patterns::parse(vec![other.to_owned()]) {
        let _ = patterns.matches(&feed);
        if let (Ok(named), true) = (&named, one == other) {
            assert!(patterns.matches(named), "a name means itself");
        }
    }
});

fn safe(text: &str) -> String {
    let name = safe_name(text);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-~".contains(&byte);
    assert!((1..=150).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('.'), "{name:?}");
    assert!(name == text || name.contains('~'), "{name:?}");
    name
}
