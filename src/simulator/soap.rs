//! The SOAP 1.1 web service (guide v3.4, §2.5): the same documents as REST, by the same ids. Requests are judged strictly.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use super::answer::Answer;
use super::route::Call;
use super::shop::Request;
use crate::feed::Kind;

/// The service, below the platform's address.
pub(super) const PATH: &str = "/parapheur-soap/soap/v1/Documents";
const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const SERVICE: &str = "http://sei.ws.fast.cdc.com/";

/// How a document is carried; faults come likewise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mtom {
    /// In the envelope, as base64.
    #[default]
    Inline,
    /// In the envelope, in lines of 76 characters whose ends are written as references.
    Wrapped,
    /// In the envelope, whose `documentId` is empty.
    Unnamed,
    /// In the envelope, which is written in ISO-8859-1 and does not say so: only `Content-Type` does.
    Western,
    /// In a part of its own, as bytes (XOP), that stands before the envelope.
    Ahead,
    /// In a part of its own, as bytes (XOP).
    Related {
        /// The boundary stands in quotes.
        quoted: bool,
        /// The reference to the part is percent-encoded.
        encoded: bool,
    },
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) call: Call,
    pub(super) kind: Kind,
    /// The SIREN of a listing, the id of a download.
    pub(super) subject: String,
    pub(super) circuit: Option<String>,
    operation: String,
}

/// Reads a request; `Err`: the fault's text.
pub(super) fn read(request: &Request) -> Result<Order, String> {
    if request.method != "POST" {
        return Err("méthode inattendue".to_owned());
    }
    if !request.header("content-type").is_some_and(|kind| kind.starts_with("text/xml")) {
        return Err("Content-Type inattendu".to_owned());
    }
    if request.header("soapaction") != Some("\"\"") {
        return Err("SOAPAction absent ou inattendu".to_owned());
    }
    let text = std::str::from_utf8(&request.body).map_err(|error| error.to_string())?;
    let (operation, parameters) = elements(text)?;
    let parameter = |name: &str| {
        let found = parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        found.ok_or_else(|| format!("paramètre {name} absent"))
    };
    let (call, kind) = match operation.as_str() {
        "listRemainingAcknowledgements" => (Call::List, Kind::Acquittements),
        "listRemainingPesRetour" => (Call::List, Kind::PesRetour),
        "listRemainingChorus" => (Call::List, Kind::Chorus),
        "listRemainingSignedDocs" => (Call::List, Kind::Signes),
        "downloadAcknowledgement" => (Call::Download, Kind::Acquittements),
        "downloadPesRetour" => (Call::Download, Kind::PesRetour),
        "downloadChorus" => (Call::Download, Kind::Chorus),
        "download" => (Call::Download, Kind::Signes),
        other => return Err(format!("opération {other} inconnue")),
    };
    let subject = parameter(if call == Call::List { "siren" } else { "documentId" })?;
    let circuit = (operation == "listRemainingSignedDocs").then(|| parameter("circuitId")).transpose()?;
    let mut order = Order { call, kind, subject, circuit, operation: operation.clone() };
    if operation == "download" {
        if parameter("acquit")? == "true" {
            (order.call, order.kind) = (Call::Again, Kind::Acquittements);
        }
        for flag in ["fdc", "acquit"] {
            let value = parameter(flag)?;
            if !["true", "false"].contains(&value.as_str()) {
                return Err(format!("paramètre {flag} inattendu : {value}"));
            }
        }
    }
    Ok(order)
}

/// The operation of an envelope and its parameters.
fn elements(text: &str) -> Result<(String, Vec<(String, String)>), String> {
    let mut reader = NsReader::from_str(text);
    let (mut path, mut operation, mut parameters) = (Vec::<String>::new(), String::new(), Vec::new());
    loop {
        let (resolved, event) = reader.read_resolved_event().map_err(|error| error.to_string())?;
        let namespace = match resolved {
            ResolveResult::Bound(namespace) => namespace.into_inner().to_owned(),
            _ => String::new(),
        };
        let mut open = |name: &str| -> Result<(), String> {
            let wanted = ["Envelope", "Body"].get(path.len()).map(|name| (*name, ENVELOPE));
            let right = match (path.len(), wanted) {
                (_, Some((wanted, space))) => name == wanted && namespace == space,
                (2, _) => namespace == SERVICE,
                (3, _) => namespace.is_empty(),
                _ => false,
            };
            if !right {
                return Err(format!("élément {{{namespace}}}{name} inattendu"));
            }
            match path.len() {
                2 => name.clone_into(&mut operation),
                3 => parameters.push((name.to_owned(), String::new())),
                _ => {}
            }
            path.push(name.to_owned());
            Ok(())
        };
        match event {
            Event::Start(start) => open(start.local_name().into_inner())?,
            Event::Empty(start) => {
                open(start.local_name().into_inner())?;
                path.pop();
            }
            Event::End(_) => {
                path.pop();
            }
            Event::Text(text) if path.len() == 4 => {
                if let Some((_, value)) = parameters.last_mut() {
                    value.push_str(&text);
                }
            }
            Event::GeneralRef(reference) if path.len() == 4 => {
                let value = match &*reference {
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    other => return Err(format!("référence &{other}; inattendue")),
                };
                if let Some((_, text)) = parameters.last_mut() {
                    text.push_str(value);
                }
            }
            Event::Eof if operation.is_empty() => return Err("enveloppe vide".to_owned()),
            Event::Eof => return Ok((operation, parameters)),
            _ => {}
        }
    }
}

/// A list of ids.
pub(super) fn listed(order: &Order, ids: &[String]) -> Answer {
    let returns: String = ids.iter().map(|id| format!("<return>{id}</return>")).collect();
    Answer::new(200, "text/xml;charset=UTF-8", response(order, &returns))
}

/// A document.
pub(super) fn carried(order: &Order, bytes: &[u8], mtom: Mtom) -> Answer {
    let returned = |content: &str| {
        let id = if mtom == Mtom::Unnamed { "" } else { &order.subject };
        response(order, &format!("<return><content>{content}</content><documentId>{id}</documentId></return>"))
    };
    let included = |name: &str| {
        returned(&format!("<xop:Include xmlns:xop=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:{name}\"/>"))
    };
    match mtom {
        Mtom::Inline | Mtom::Unnamed => plain(200, returned(&STANDARD.encode(bytes))),
        Mtom::Wrapped => plain(
            200,
            returned(&bytes.chunks(57).map(|line| STANDARD.encode(line)).collect::<Vec<_>>().join("&#13;\n")),
        ),
        Mtom::Western => western(200, &returned(&format!("<!-- remis en état -->{}", STANDARD.encode(bytes)))),
        Mtom::Ahead => parts(200, &[part(bytes), root(&included("piece+1@cxf.apache.org"))], true),
        Mtom::Related { quoted, encoded } => {
            let name = if encoded { "piece%2B1%40cxf.apache.org" } else { "piece+1@cxf.apache.org" };
            parts(200, &[root(&included(name)), part(bytes)], quoted)
        }
    }
}

/// A fault of the service.
pub(super) fn fault(status: u16, text: &str, mtom: Mtom) -> Answer {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let body = format!(
        "<soap:Envelope xmlns:soap=\"{ENVELOPE}\"><soap:Body><soap:Fault><faultcode>soap:Server</faultcode>\
         <faultstring>{text}</faultstring><detail><ns1:BusinessException xmlns:ns1=\"{SERVICE}\"><message>{text}</message>\
         </ns1:BusinessException></detail></soap:Fault></soap:Body></soap:Envelope>"
    );
    match mtom {
        Mtom::Western => western(status, &body),
        Mtom::Ahead | Mtom::Related { .. } => parts(status, &[root(&body)], true),
        Mtom::Inline | Mtom::Wrapped | Mtom::Unnamed => plain(status, body),
    }
}

fn plain(status: u16, envelope: String) -> Answer {
    Answer::new(status, "text/xml;charset=UTF-8", envelope)
}

/// What ISO-8859-1 does not have becomes a question mark.
fn western(status: u16, envelope: &str) -> Answer {
    let bytes: Vec<u8> = envelope.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
    Answer::new(status, "text/xml;charset=ISO-8859-1", bytes)
}

/// The envelope as a part.
fn root(envelope: &str) -> Vec<u8> {
    let headers = "Content-Type: application/xop+xml; charset=UTF-8; type=\"text/xml\";\r\n\
                   Content-Transfer-Encoding: binary\r\nContent-ID: <root.message@cxf.apache.org>";
    format!("{headers}\r\n\r\n{envelope}").into_bytes()
}

/// A document as a part.
fn part(bytes: &[u8]) -> Vec<u8> {
    let headers = "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\
                   Content-ID: <piece+1@cxf.apache.org>\r\n\r\n";
    [headers.as_bytes(), bytes].concat()
}

fn parts(status: u16, parts: &[Vec<u8>], quoted: bool) -> Answer {
    let boundary = "uuid:5b1c0f5e-37e6-4d5c-a2ab";
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        body.extend_from_slice(part);
    }
    body.extend_from_slice(format!("\r\n--{boundary}--").as_bytes());
    let quote = if quoted { "\"" } else { "" };
    let kind = format!(
        "multipart/related; type=\"application/xop+xml\"; boundary={quote}{boundary}{quote}; \
         start=\"<root.message@cxf.apache.org>\"; start-info=\"text/xml\""
    );
    Answer::new(status, &kind, body)
}

fn response(order: &Order, inner: &str) -> String {
    let operation = &order.operation;
    format!(
        "<soap:Envelope xmlns:soap=\"{ENVELOPE}\"><soap:Body><ns2:{operation}Response xmlns:ns2=\"{SERVICE}\">{inner}\
         </ns2:{operation}Response></soap:Body></soap:Envelope>"
    )
}
