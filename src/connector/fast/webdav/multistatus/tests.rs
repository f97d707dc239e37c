use super::*;

fn one(inner: &str) -> Resource {
    let text = format!("<m:multistatus xmlns:m='DAV:'><m:response>{inner}</m:response></m:multistatus>");
    parse(text.as_bytes()).unwrap().remove(0)
}

#[test]
fn apache_is_understood() {
    let text = r#"<?xml version="1.0" encoding="utf-8"?>
<D:multistatus xmlns:D="DAV:" xmlns:ns0="DAV:">
<D:response xmlns:lp1="DAV:" xmlns:lp2="http://apache.org/dav/props/">
<D:href>/out/PES/</D:href>
<D:propstat><D:prop><lp1:resourcetype><D:collection/></lp1:resourcetype><lp1:getetag>"1000-63f"</lp1:getetag></D:prop>
<D:status>HTTP/1.1 200 OK</D:status></D:propstat>
<D:propstat><D:prop><ns0:getcontentlength/></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>
</D:response>
<D:response xmlns:lp1="DAV:">
<D:href>/out/PES/retour%201.xml</D:href>
<D:propstat><D:prop><lp1:resourcetype/><lp1:getcontentlength>1234</lp1:getcontentlength>
<lp1:getlastmodified>Sun, 22 Nov 2026 10:00:00 GMT</lp1:getlastmodified><lp1:getetag>W/"4d2-63f"</lp1:getetag></D:prop>
<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"#;
    let found = parse(text.as_bytes()).unwrap();
    assert_eq!((found[0].href.as_str(), found[0].collection, found[0].length), ("/out/PES/", true, None));
    let file = &found[1];
    assert_eq!((file.href.as_str(), file.collection, file.length), ("/out/PES/retour%201.xml", false, Some(1234)));
    assert_eq!(file.modified, Some("2026-11-22T10:00:00Z".parse().unwrap()));
    assert_eq!(file.etag.as_ref().map(Etag::header).as_deref(), Some("W/\"4d2-63f\""));
}

#[test]
fn every_dialect_says_the_same() {
    let properties = "<getcontentlength>7</getcontentlength><getetag>\"t\"</getetag>";
    let plain = format!(
        "<multistatus xmlns='DAV:'><response><href>/a</href><propstat><prop>{properties}</prop>\
         <status>HTTP/1.1 200 OK</status></propstat></response></multistatus>"
    );
    let prefixed = "<?xml version='1.0' encoding='ISO-8859-1'?><é:multistatus xmlns:é='DAV:' xmlns:z='urn:x'><é:response>\
         <é:href><![CDATA[/a]]></é:href><z:href>/no</z:href><é:propstat><é:prop><z:getcontentlength>9</z:getcontentlength>\
         <é:getcontentlength> 7 </é:getcontentlength><é:getetag>&#34;t&quot;</é:getetag></é:prop></é:propstat>\
         </é:response></é:multistatus>";
    let latin1: Vec<u8> = prefixed.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let expected =
        Resource { href: "/a".to_owned(), length: Some(7), etag: Etag::parse("\"t\""), ..Resource::default() };
    assert_eq!(parse(plain.as_bytes()).unwrap(), std::slice::from_ref(&expected));
    assert_eq!(parse(&latin1).unwrap(), [expected]);
}

#[test]
fn only_good_propstats_count_and_bad_values_are_none() {
    let bad = "<m:propstat><m:prop><m:getcontentlength>1</m:getcontentlength></m:prop>\
               <m:status>HTTP/1.1 403 Forbidden</m:status></m:propstat>";
    let odd = "<m:propstat><m:prop><m:getcontentlength>-5</m:getcontentlength><m:getlastmodified>hier</m:getlastmodified>\
               <m:getetag></m:getetag></m:prop><m:status>HTTP/1.1 200 OK</m:status></m:propstat>";
    let resource = one(&format!("<m:href>/a</m:href>{bad}{odd}"));
    assert_eq!(resource, Resource { href: "/a".to_owned(), ..Resource::default() });
    assert_eq!(one("<m:href>/a</m:href><m:status>HTTP/1.1 404 Not Found</m:status>").status, Some(404));
}

#[test]
fn what_is_no_multistatus_says_what_it_is() {
    let html = parse(b"<!DOCTYPE html><html><head><title>Connexion</title></head></html>").unwrap_err();
    assert!(html.contains("HTML page (\"Connexion\")"), "{html}");
    assert_eq!(parse(b"<a/>").unwrap_err(), "it is XML, and no multistatus");
    let bomb = "<!DOCTYPE m [<!ENTITY a \"b\">]><m:multistatus xmlns:m='DAV:'>&a;</m:multistatus>";
    assert!(parse(bomb.as_bytes()).unwrap_err().contains("document type"));
    let whole = "<m:multistatus xmlns:m='DAV:'><m:response><m:href>/a</m:href></m:response></m:multistatus>";
    for end in 0..whole.len() {
        assert!(parse(&whole.as_bytes()[..end]).is_err(), "cut at {end}");
    }
    let deep = format!("<m:multistatus xmlns:m='DAV:'>{}{}</m:multistatus>", "<a>".repeat(600), "</a>".repeat(600));
    assert!(parse(deep.as_bytes()).unwrap_err().contains("nested"));
}
