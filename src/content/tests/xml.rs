//! Rules of XML 1.0, one by one.

use super::*;

fn well_formed(document: impl AsRef<[u8]>) -> bool {
    match judged(document.as_ref()) {
        Ok(MediaType::Xml) => true,
        Err(NotAReturn::NotWellFormed { .. }) => false,
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(document.as_ref())),
    }
}

fn all_accepted(documents: &[&str]) {
    for document in documents {
        assert_eq!(judged(document.as_bytes()), Ok(MediaType::Xml), "{document}");
    }
}

fn all_refused(documents: &[&str]) {
    for document in documents {
        assert_eq!(verdict(document), "not_well_formed", "{document}");
    }
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[test]
fn no_part_of_a_return_is_kept_as_one() {
    for sample in [PES_ACQUIT, PES_RETOUR, CPP_FACTURE_PIVOT] {
        let whole = sample.trim_ascii_end().len();
        for end in 0..sample.len() {
            assert_eq!(judged(&sample[..end]).is_ok(), end >= whole, "cut after {end} bytes");
        }
    }
    let text = "\u{FEFF}<?xml version='1.0'?><a>é𝄞<b c='&#233;'/></a>";
    for bytes in [text.as_bytes().to_vec(), utf16(text, u16::to_le_bytes), utf16(text, u16::to_be_bytes)] {
        assert!(well_formed(&bytes));
        for end in 0..bytes.len() {
            assert!(judged(&bytes[..end]).is_err(), "cut after {end} bytes of {bytes:x?}");
        }
    }
}

#[test]
fn a_cut_return_is_refused_with_the_element_left_open() {
    let cut = &PES_RETOUR[..PES_RETOUR.len() - "</n:PES_Retour>\r\n".len()];
    assert_eq!(
        judged(cut).unwrap_err().to_string(),
        "the document is not well-formed XML at line 13, column 1: \
         the document ends too early: <n:PES_Retour> is not closed"
    );
}

#[test]
fn what_follows_the_root_element_is_white_space_or_markup_of_no_weight() {
    all_accepted(&["<a/>\r\n\t ", "<a/><!-- b --><?c d?>\n"]);
    all_refused(&["<a/>b", "<a/><b/>", "<a/><![CDATA[b]]>", "<a/>&amp;", "<a/>\0", "<a/></a>", "<a/><", "<a></a></a>"]);
    all_refused(&["<!-- a -->", "<?a?>", "<?xml version='1.0'?>", "<?xml version='1.0'?>\0<a/>", "<!-- b -->c<a/>"]);
    all_refused(&["<a/>\n\0\0\0\0", "<![CDATA[]]><a/>", "<!-- --><![CDATA[]]><a/>"]);
}

#[test]
fn tags_match() {
    all_accepted(&["<a></a >", "<a><b/><b></b></a>", "<é:à.1-_·></é:à.1-_·>", "<a\n/>"]);
    all_refused(&["<a></b>", "<a><b></a></b>", "<a></ a>", "<a></A>", "<a", "<a/", "<a/ >", "<a></a", "<a></a b=''>"]);
    all_refused(&[
        "< a/>",
        "<1/>",
        "<-a/>",
        "<a><></></a>",
        "<a><b</b></a>",
        "<\u{D7}/>",
        "<a!/>",
        "</a>",
        "<a>< b/></a>",
    ]);
}

#[test]
fn attributes_are_quoted_apart_and_unique() {
    all_accepted(&["<a b='\"' c = \"'>\"/>", "<a b='1\n2\t'/>", "<a x:b='' y:b='' b=''/>", "<a b=''\nc=''></a>"]);
    all_refused(&[
        "<a b/>",
        "<a b=/>",
        "<a b=c/>",
        "<a b='<'/>",
        "<a b='c/>",
        "<a b='c\"/>",
        "<a b='c'd='e'/>",
        "<a ='b'/>",
    ]);
    all_refused(&[
        "<a b='' b=''/>",
        "<a c='' b='' d='' b=''/>",
        "<a b='&'/>",
        "<a b='&c;'/>",
        "<a/b=''>",
        "<a b='c' '/>",
    ]);
    assert_eq!(
        judged(b"<a>\n<b V='1' W='2' V='3'/></a>").unwrap_err().to_string(),
        "the document is not well-formed XML at line 2, column 21: the attribute `V` stands twice in a tag"
    );
}

#[test]
fn references_are_to_characters_and_the_five_entities() {
    all_accepted(&["<a>&amp;&lt;&gt;&quot;&apos;&#9;&#xD;&#x10FFFF;&#0000000000000000065;</a>", "<a b='&#x20AC;'/>"]);
    all_refused(&[
        "<a>&</a>",
        "<a>&amp</a>",
        "<a>& b</a>",
        "<a>&nbsp;</a>",
        "<a>&AMP;</a>",
        "<a>&amp ;</a>",
        "<a>&;</a>",
    ]);
    all_refused(&["<a>&#0;</a>", "<a>&#x1F;</a>", "<a>&#xD800;</a>", "<a>&#xFFFE;</a>", "<a>&#x110000;</a>"]);
    all_refused(&[
        "<a>&#;</a>",
        "<a>&#x;</a>",
        "<a>&#X41;</a>",
        "<a>&#4294967361;</a>",
        "<a>&#xFFFFFFFFFFFFFFFF41;</a>",
    ]);
}

#[test]
fn characters_are_those_xml_allows() {
    all_accepted(&["<a>\t\u{7F}\u{80}\u{9F}\u{D7FF}\u{E000}\u{FFFD}\u{10FFFF}\u{EFFF}\u{FEFF}</a>"]);
    all_refused(&["<a>\0</a>", "<a>\u{1}</a>", "<a>\u{B}</a>", "<a>\u{1F}</a>", "<a>\u{FFFE}</a>", "<a>\u{FFFF}</a>"]);
    all_refused(&[
        "<a b='\u{1}'/>",
        "<a><!-- \u{1} --></a>",
        "<a><![CDATA[\u{FFFF}]]></a>",
        "<a><?b \0?></a>",
        "<a>\x1B</a>",
    ]);
}

#[test]
fn marked_sections_end_where_they_must() {
    all_accepted(&["<a>]]&gt;]></a>", "<a>] ]> ]]&#62;</a>", "<a b=']]>'/>", "<a><![CDATA[]]]]><![CDATA[>]]]]]></a>"]);
    all_accepted(&[
        "<!----><a/>",
        "<!-- - -> <b> & ]]> --><a/>",
        "<a><?b ?c?? ?></a>",
        "<?b?><a/>",
        "<a><![CDATA[<&]]></a>",
    ]);
    all_refused(&["<a>]]></a>", "<a>]]]></a>", "<a><![CDATA[b]] ></a>", "<a><![cdata[]]></a>", "<a><![CDATA[]]</a>"]);
    all_refused(&[
        "<!-- -- --><a/>",
        "<!-- ---><a/>",
        "<!-- ->",
        "<!- a --><a/>",
        "<!a><a/>",
        "<a><!-- </a>",
        "<!--><a/>",
    ]);
    all_refused(&["<??><a/>", "<? b?><a/>", "<?b/?><a/>", "<?b c><a/>", "<a><?b</a>"]);
}

#[test]
fn the_xml_declaration_stands_first_and_is_written_right() {
    all_accepted(&["<?xml version='1.0'?><a/>", "<?xml version = \"1.1\" encoding='utf-8' standalone='no' ?><a/>"]);
    all_accepted(&[
        "\u{FEFF}<?xml version='1.0' standalone='yes'?><a/>",
        " \n<a/>",
        "\u{FEFF} <a/>",
        "<?xml-b c?><a/>",
    ]);
    all_refused(&[
        " <?xml version='1.0'?><a/>",
        "<a/><?xml version='1.0'?>",
        "<?XML version='1.0'?><a/>",
        "<?xml?><a/>",
    ]);
    all_refused(&["<?xml encoding='utf-8'?><a/>", "<?xml version='2.0'?><a/>", "<?xml version='1.0' ><a/>"]);
    all_refused(&["<?xml version='1.0' standalone='no' encoding='utf-8'?><a/>", "<?xml version=1.0?><a/>"]);
    all_refused(&["<?xml version='1.0'encoding='utf-8'?><a/>", "<?xml version='1.0' standalone='maybe'?><a/>"]);
    all_refused(&[
        "<?xml version='1.0' version='1.0'?><a/>",
        "<?xml version='1.0' b='c'?><a/>",
        "<?xml version='1.'?><a/>",
    ]);
    all_refused(&["<?xml version='1.0' encoding=' utf-8'?><a/>", "<!-- --><?xml version='1.0'?><a/>"]);
    assert_eq!(verdict("\u{FEFF}\u{FEFF}<a/>"), "text", "only the first mark is one");
    assert!(!well_formed(format!("<?xml version='1.{}'?><a/>", "0".repeat(100_000))));
}

#[test]
fn encodings_are_those_documents_declare() {
    let declared = |name: &str, text: &[u8]| {
        [b"<?xml version=\"1.0\" encoding='", name.as_bytes(), b"'?><a>", text, b"</a>"].concat()
    };
    for name in ["ISO-8859-1", "iso-8859-15", "latin1", "windows-1252", "Windows-1252"] {
        assert!(well_formed(declared(name, b"\xE9\x80\xA4\x81")), "{name}");
    }
    assert!(well_formed(declared("UTF-8", "é€".as_bytes())));
    assert!(well_formed(declared("US-ASCII", b"e")));
    for (name, text) in
        [("US-ASCII", b"\xE9".as_slice()), ("UTF-8", b"\xE9"), ("utf8", b"\xC3"), ("UTF-8", b"\xED\xA0\x80")]
    {
        assert!(!well_formed(declared(name, text)), "{name}");
    }
    assert!(!well_formed(b"<?xml-b encoding='latin1'?><a>\xE9</a>"), "what is no declaration declares nothing");
    assert!(!well_formed(b"<a>\xE9</a>"), "without a declaration it is UTF-8");
    assert!(
        judged(&declared("UTF-16", b"e")).unwrap_err().to_string().ends_with("`UTF-16`, and is not written in it"),
        "a declaration that can be read as ASCII is not UTF-16"
    );
    assert_eq!(
        judged(&declared("KLINGON-8", b"e")).unwrap_err().to_string(),
        "the document is not well-formed XML at line 1, column 1: it declares the encoding `KLINGON-8`, which is not known"
    );
    assert_eq!(
        judged(&declared("US-ASCII", b"\n\nabc\xE9")).unwrap_err().to_string(),
        "the document is not well-formed XML at line 3, column 4: bytes that are not US-ASCII"
    );
}

#[test]
fn utf_16_is_read_by_its_mark_or_its_first_character() {
    let text = "<?xml version='1.0' encoding='UTF-16'?><é>€𝄞</é>";
    for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        assert!(well_formed(utf16(&format!("\u{FEFF}{text}"), bytes)));
        assert!(well_formed(utf16(text, bytes)));
        let mut lone_surrogate = utf16("\u{FEFF}<a>", bytes);
        lone_surrogate.extend([bytes(0xD800).as_slice(), &utf16("</a>", bytes)].concat());
        assert!(!well_formed(lone_surrogate));
        assert_eq!(verdict(utf16("\u{FEFF}<!DOCTYPE html><html/>", bytes)), "html");
    }
}

#[test]
fn document_types_are_refused_before_they_are_read() {
    for document in ["<!DOCTYPE a><a/>", "<?xml version='1.0'?>\n<!-- b --><!DOCTYPE a [<!ENTITY b \"", "<a/><!DOCTYPE"]
    {
        assert_eq!(verdict(document), "document_type", "{document}");
    }
    let bomb = "<!DOCTYPE a [<!ENTITY b 'bb'><!ENTITY c '&b;&b;'>]><a>&c;</a>";
    assert_eq!(verdict(bomb), "document_type");
    assert_eq!(verdict("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a>\u{1}</a>"), "document_type");
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(well_formed(nested(256)));
    assert_eq!(verdict(nested(257)), "too_deep");
    assert_eq!(verdict("<a>".repeat(1_000_000)), "too_deep");
}

#[test]
fn names_and_tags_have_limits() {
    let name = |bytes: usize| format!("<{}/>", "a".repeat(bytes));
    assert!(well_formed(name(1024)));
    assert_eq!(verdict(name(1025)), "excessive");
    assert_eq!(verdict(format!("<a>&{};</a>", "b".repeat(2000))), "excessive");
    let attributes = |count: usize| {
        let all: String = (0..count).map(|number| format!(" b{number}='c'")).collect();
        format!("<a{all}/>")
    };
    assert!(well_formed(attributes(1024)));
    assert_eq!(verdict(attributes(1025)), "excessive");
    let value = |bytes: usize| format!("<a b='{}'/>", "c".repeat(bytes));
    assert!(well_formed(value(1_000_000)));
    assert_eq!(verdict(value(1_100_000)), "excessive");
    let values = format!("<a b='{0}' c='{0}'/>", "d".repeat(600_000));
    assert_eq!(verdict(values), "excessive");
}

#[test]
fn faults_are_placed_across_buffers() {
    let document = format!("<a>{}\né&nbsp;</a>", "x\n".repeat(100_000));
    let Err(NotAReturn::NotWellFormed { line, column, .. }) = judged(document.as_bytes()) else { panic!() };
    assert_eq!((line, column), (100_002, 7));
    let document = format!("<a>{}\u{1}</a>", "é".repeat(100_000));
    let Err(NotAReturn::NotWellFormed { line, column, .. }) = judged(document.as_bytes()) else { panic!() };
    assert_eq!((line, column), (1, 100_004));
}

#[test]
fn what_stands_first_is_refused_first() {
    assert_eq!(
        judged(b"<a></b>\x01").unwrap_err().to_string(),
        "the document is not well-formed XML at line 1, column 7: </b> closes <a>"
    );
}
