use proptest::prelude::*;

use super::super::message::Return;
use super::super::request::ENVELOPE;
use super::*;
use crate::feed::Kind;

fn scan(text: &[u8], cut: usize) -> Result<(Message, Vec<u8>), String> {
    let (mut scanner, mut out) = (Scanner::of_document(), Vec::new());
    let (first, second) = text.split_at(cut.min(text.len()));
    scanner.feed(first, &mut out)?;
    scanner.feed(second, &mut out)?;
    Ok((scanner.finish()?, out))
}

fn envelope(body: &str) -> String {
    format!("<?xml version='1.0'?>\n<s:Envelope xmlns:s='{ENVELOPE}'><s:Header/><s:Body>{body}</s:Body></s:Envelope>\n")
}

fn answer(inner: &str) -> String {
    envelope(&format!("<n:xResponse xmlns:n='http://sei.ws.fast.cdc.com/'>{inner}</n:xResponse>"))
}

fn returns(message: Message) -> Vec<Return> {
    match message {
        Message::Answer(returns) => returns,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_document_is_decoded_wherever_the_answer_is_cut() {
    let forms = [
        "<return><content>QUJD&#13;\nREVG&#xD;&#10;</content><documentId>7</documentId></return>",
        "<return><documentId>7</documentId><content a='>' ><![CDATA[QUJD]]>RE<!-- > -->VG</content></return>",
        "<!-- <content>AAAA</content> --><return><documentId> 7 </documentId><q:content xmlns:q='u'>QUJDREVG</q:content></return>",
    ];
    for form in forms {
        let text = answer(form);
        for cut in 0..text.len() {
            let (message, bytes) =
                scan(text.as_bytes(), cut).unwrap_or_else(|error| panic!("{form} at {cut}: {error}"));
            assert_eq!(bytes, b"ABCDEF", "{form} at {cut}");
            let returned = returns(message).remove(0);
            assert!(returned.contents == 1 && returned.include.is_none());
            assert_eq!(returned.document_id.as_deref(), Some("7"));
        }
    }
}

#[test]
fn a_list_has_no_one_or_many_returns() {
    let listed = |inner: &str| {
        let (mut scanner, text) = (Scanner::of_list(Entries::of(Kind::Chorus, None)), answer(inner));
        scanner.feed(text.as_bytes(), &mut Vec::new()).unwrap();
        let Message::List(listing) = scanner.finish().unwrap() else { panic!("no list") };
        let ids: Vec<String> = listing.documents.into_iter().map(|it| it.id).collect();
        (ids.join(" "), listing.refused.len())
    };
    assert_eq!(listed(""), (String::new(), 0));
    assert_eq!(listed("<return> 320073963 </return>"), ("320073963".to_owned(), 0));
    assert_eq!(listed("<return>1</return><return>2</return><return/>"), ("1 2".to_owned(), 1));
}

#[test]
fn a_reference_to_a_part_is_read() {
    let inner = "<return><content><x:Include xmlns:x='http://www.w3.org/2004/08/xop/include' href='cid:a%40b'/></content></return>";
    let (message, bytes) = scan(answer(inner).as_bytes(), 0).unwrap();
    assert_eq!((bytes.len(), returns(message)[0].include.as_deref()), (0, Some("cid:a%40b")));
}

#[test]
fn faults_are_read_with_their_detail() {
    let body = "<s:Fault><faultcode>s:Server</faultcode><faultstring>Le nœud n&apos;existe pas</faultstring>\
                <detail><e:BusinessException xmlns:e='u'><message>Autre</message></e:BusinessException></detail></s:Fault>";
    let (message, _) = scan(envelope(body).as_bytes(), 3).unwrap();
    assert_eq!(message, Message::Fault(["Le nœud n'existe pas", "Autre"].map(str::to_owned).into()));
}

#[test]
fn what_is_cut_damaged_or_hostile_is_refused() {
    let whole = answer("<return><content>QUJDREVG</content><documentId>7</documentId></return>");
    for cut in 0..whole.trim_end().len() {
        assert!(scan(&whole.as_bytes()[..cut], 0).is_err(), "cut at {cut}");
    }
    let bomb = format!("<!DOCTYPE s [<!ENTITY a 'QUJD'>]>{}", answer("<return><content>&a;</content></return>"));
    let deep = answer(&format!("{}{}", "<a>".repeat(700), "</a>".repeat(700)));
    let wide = answer(&"<a/>".repeat(40_000));
    let long = answer(&format!("<a b='{}'/>", "x".repeat(20_000)));
    let cut = answer("<return><content>QUJDRE</content></return>");
    let open = answer("<return><content>QUJD</return></content>");
    for text in [bomb, deep, wide, long, cut, open, "<a/>".to_owned(), "<html><body></body></html>".to_owned()] {
        let start: String = text.chars().take(200).collect();
        assert!(scan(text.as_bytes(), 0).is_err(), "{start}");
    }
}

#[test]
fn what_may_be_another_document_than_it_seems_is_refused() {
    let include = "<x:Include xmlns:x='http://www.w3.org/2004/08/xop/include' href='cid:a'/>";
    for inner in [
        "<content>QUJD<b/>REVG</content>",
        "<content>QUJD<b/></content>",
        "<content><b/></content>",
        "<content><b>QUJD</b></content>",
        "<content> <b/> QUJD</content>",
        "<content>QUJD</content><content>REVG</content>",
        "<content></content><content>REVG</content>",
        &format!("<content>QUJD{include}</content>"),
        &format!("<content>{include}QUJD</content>"),
        &format!("<content>{include}<![CDATA[QUJD]]></content>"),
        &format!("<content>{include}{include}</content>"),
        "<content><x:Include xmlns:x='http://www.w3.org/2004/08/xop/include'/></content>",
    ] {
        assert!(scan(answer(&format!("<return>{inner}</return>")).as_bytes(), 0).is_err(), "{inner}");
    }
    let spaced = answer(&format!("<return><content>\n <!-- here --> {include}\n</content></return>"));
    assert_eq!(returns(scan(spaced.as_bytes(), 0).unwrap().0)[0].include.as_deref(), Some("cid:a"));
    let count = |inner: &str| returns(scan(answer(inner).as_bytes(), 0).unwrap().0)[0].contents;
    assert_eq!(count("<return><content/><content>QUJD</content></return>"), 2);
}

#[test]
fn sections_take_no_memory_without_end() {
    let feed = |piece: &str| {
        let (mut scanner, mut out) = (Scanner::of_document(), Vec::new());
        scanner.feed(answer("<return><content>@").split('@').next().unwrap().as_bytes(), &mut out).unwrap();
        if !piece.starts_with('<') {
            scanner.feed(CDATA, &mut out).unwrap();
        }
        for _ in 0..100_000 {
            scanner.feed(piece.as_bytes(), &mut out)?;
            assert!(scanner.pending.len() <= LONGEST_TAG + piece.len() && out.len() < 1 << 20);
            out.clear();
        }
        Ok::<(), String>(())
    };
    assert!(feed("]]]]]]]]]]]]]]]]").unwrap_err().contains("no place there"));
    assert!(feed("<![CDATA[]]>").unwrap_err().contains("around its document"));
    assert_eq!(feed("QUJD"), Ok(()));
}

#[test]
fn an_envelope_that_does_not_say_how_it_is_written_is_read_all_the_same() {
    let text = envelope("<s:Fault><faultstring>Le n\u{153}ud r\u{e9}cup\u{e9}r\u{e9}</faultstring></s:Fault>");
    let bare = text.replace("<?xml version='1.0'?>\n", "");
    let read = |bytes: &[u8], charset: Option<&str>| {
        let mut scanner = Scanner::of_document();
        scanner.written_in(charset);
        scanner.feed(bytes, &mut Vec::new()).unwrap();
        match scanner.finish() {
            Ok(Message::Fault(texts)) => texts.join(" "),
            other => format!("{other:?}"),
        }
    };
    let (windows, _, _) = encoding_rs::WINDOWS_1252.encode(&text);
    for charset in [None, Some("ISO-8859-1"), Some("utf-8"), Some("klingon"), Some("utf-16")] {
        assert_eq!(read(&windows, charset), "Le nœud récupéré", "{charset:?}");
    }
    let (windows, _, _) = encoding_rs::WINDOWS_1252.encode(&bare);
    assert_eq!(read(&windows, None), "Le nœud récupéré");
    let (latin9, _, _) = encoding_rs::ISO_8859_15.encode(&bare);
    assert_eq!(read(&latin9, Some("ISO-8859-15")), "Le nœud récupéré");
    assert_eq!(read(bare.as_bytes(), None), "Le nœud récupéré");
    // What it says itself counts.
    let said = text.replace("'1.0'", "'1.0' encoding='utf-8'");
    assert_eq!(read(said.as_bytes(), Some("ISO-8859-1")), "Le nœud récupéré");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..300) {
        let _ = scan(&bytes, cut);
        let text = answer("<return><content>QUJDREVG</content></return>").into_bytes();
        let mut text = text;
        for (index, byte) in bytes.iter().enumerate() {
            let at = (index * 37 + cut) % text.len();
            text[at] = *byte;
        }
        let _ = scan(&text, cut);
    }
}
