"""The SOAP service, played with an independent library: zeep reads the requests by the schema, and builds the answers."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lxml import etree

WSDL = Path(__file__).with_name("service.wsdl")
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
SERVICE = "http://sei.ws.fast.cdc.com/"
PATH = "/parapheur-soap/soap/v1/Documents"
KINDS = {"Acknowledgements": "Acknowledgement", "PesRetour": "PesRetour", "Chorus": "Chorus"}


def schema():
    """The schema of the WSDL, for lxml."""
    tree = etree.parse(str(WSDL))
    inner = tree.find(".//{http://www.w3.org/2001/XMLSchema}schema")
    return etree.XMLSchema(etree.fromstring(etree.tostring(inner)))


def canonical(element):
    """An element as its meaning is: without the prefixes that were chosen."""
    children = tuple(canonical(child) for child in element)
    return (element.tag, (element.text or "").strip() if not children else "", children)


class Service:
    """Holds documents by kind; remembers what was asked, and what was wrong with it."""

    def __init__(self, client, documents):
        self.client, self.documents, self.collected = client, documents, set()
        self.asked, self.wrong = [], []
        self.schema = schema()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = service.answer(self.path, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Type", "text/xml; charset=utf-8")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()

    def judge(self, path, headers, body):
        """Says what is wrong with a request; answers its operation and parameters."""
        if path != PATH:
            self.wrong.append(f"path {path}")
        if headers["SOAPAction"] != '""' or not headers["Content-Type"].startswith("text/xml"):
            self.wrong.append(f"headers {dict(headers)}")
        envelope = etree.fromstring(body)
        inner = envelope.find(f"{{{ENVELOPE}}}Body")[0]
        if not self.schema.validate(inner):
            self.wrong.append(str(self.schema.error_log))
        operation = etree.QName(inner).localname
        parameters = {etree.QName(child).localname: child.text for child in inner}
        # What zeep itself would have sent.
        reference = self.client.create_message(self.client.service, operation, **parameters)
        if canonical(envelope) != canonical(reference):
            self.wrong.append(f"{etree.tostring(envelope)} is not {etree.tostring(reference)}")
        return operation, parameters

    def answer(self, path, headers, body):
        operation, parameters = self.judge(path, headers, body)
        self.asked.append((operation, parameters))
        root = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap={"S": ENVELOPE})
        inner = etree.SubElement(etree.SubElement(root, f"{{{ENVELOPE}}}Body"), f"{{{SERVICE}}}{operation}Response")
        if operation.startswith("listRemaining"):
            kind = operation.removeprefix("listRemaining")
            waiting = [id for (of, id) in self.documents if of == kind and id not in self.collected]
            for id in waiting:
                etree.SubElement(inner, "return").text = id
        else:
            id = parameters["documentId"]
            found = next((content for (_, known), content in self.documents.items() if known == id), None)
            if found is None:
                return 500, self.fault("Le nœud n'existe pas")
            value = self.client.get_type(f"{{{SERVICE}}}file")(content=found, documentId=id)
            element = etree.SubElement(inner, "return")
            self.client.get_type(f"{{{SERVICE}}}file").render(element, value)
            self.collected.add(id)
        return 200, etree.tostring(root, xml_declaration=True, encoding="UTF-8")

    @staticmethod
    def fault(text):
        root = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap={"S": ENVELOPE})
        fault = etree.SubElement(etree.SubElement(root, f"{{{ENVELOPE}}}Body"), f"{{{ENVELOPE}}}Fault")
        etree.SubElement(fault, "faultcode").text = "S:Server"
        etree.SubElement(fault, "faultstring").text = text
        return etree.tostring(root)
