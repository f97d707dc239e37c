use proptest::prelude::*;

use super::*;

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
        Message::Fault(texts) => panic!("a fault: {texts:?}"),
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
            assert!(returned.content && returned.include.is_none());
            assert_eq!(returned.document_id.as_deref(), Some("7"));
        }
    }
}

#[test]
fn a_list_has_no_one_or_many_returns() {
    let texts = |inner: &str| -> Vec<String> {
        let text = answer(inner);
        returns(scan(text.as_bytes(), 0).unwrap().0).into_iter().map(|it| it.text).collect()
    };
    assert!(texts("").is_empty());
    assert_eq!(texts("<return> 320073963 </return>"), ["320073963"]);
    assert_eq!(texts("<return>1</return><return>2</return><return/>"), ["1", "2", ""]);
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
    assert_eq!(message, Message::Fault(["s:Server", "Le nœud n'existe pas", "Autre"].map(str::to_owned).into()));
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
    let nested = answer("<return><content>QUJD<b/>REVG</content></return>");
    let open = answer("<return><content>QUJD</return></content>");
    for text in [bomb, deep, wide, long, cut, open, "<a/>".to_owned(), "<html><body></body></html>".to_owned()] {
        let start: String = text.chars().take(200).collect();
        assert!(scan(text.as_bytes(), 0).is_err(), "{start}");
    }
    // An element in the text ends it: what follows is no part of the document.
    assert_eq!(scan(nested.as_bytes(), 0).unwrap().1, b"ABC");
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
