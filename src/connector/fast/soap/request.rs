//! The envelopes that are sent (SOAP 1.1, §4): document/literal, the operation in the service's namespace, its parameters in
//! none.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

/// The namespace of the service's operations.
const SERVICE: &str = "http://sei.ws.fast.cdc.com/";
/// The namespace of SOAP 1.1.
pub(super) const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// The envelope that asks for `operation` with `parameters`, in the order given.
///
/// # Errors
/// Never in practice: it is written into memory.
pub(super) fn envelope(operation: &str, parameters: &[(&str, &str)]) -> Result<Vec<u8>, String> {
    let mut writer = Writer::new(Vec::new());
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None))).map_err(|error| error.to_string())?;
    let envelope = writer.create_element("soapenv:Envelope").with_attribute(("xmlns:soapenv", ENVELOPE));
    let written = envelope.with_attribute(("xmlns:sei", SERVICE)).write_inner_content(|writer| {
        writer.create_element("soapenv:Body").write_inner_content(|writer| {
            writer.create_element(format!("sei:{operation}")).write_inner_content(|writer| {
                for (name, value) in parameters {
                    writer.create_element(*name).write_text_content(BytesText::new(value))?;
                }
                Ok(())
            })?;
            Ok(())
        })?;
        Ok(())
    });
    written.map_err(|error: std::io::Error| error.to_string())?;
    Ok(writer.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_the_services_namespace_and_their_parameters_none() {
        let text = String::from_utf8(envelope("listRemainingChorus", &[("siren", "1<2&3")]).unwrap()).unwrap();
        assert_eq!(
            text,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
             xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:sei=\"http://sei.ws.fast.cdc.com/\">\
             <soapenv:Body><sei:listRemainingChorus><siren>1&lt;2&amp;3</siren></sei:listRemainingChorus></soapenv:Body>\
             </soapenv:Envelope>"
        );
    }
}
