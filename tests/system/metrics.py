"""Metrics as Prometheus' own library and promtool read them; rules and dashboard that name nothing else."""

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

from town import Town, free_port, wait_for

DOCS = Path(__file__).resolve().parents[2] / "docs"
NAME = re.compile(r"\b(?:vaguemestre|process)_[a-z_]+\b")


def documented():
    """Names of metrics, by their first cells in docs/metrics.md, with their types."""
    rows = re.findall(r"^\| `((?:vaguemestre|process)_[a-z_]+)` \| (\w+) \|", (DOCS / "metrics.md").read_text(), re.M)
    return dict(rows)


def prometheus_reads_the_metrics(folder, authority):
    from prometheus_client.openmetrics import parser

    port = free_port()
    town = Town(folder, authority, f"https://localhost:{free_port()}", "rest", 'feeds = ["chorus"]', interval="1s")
    town.config.write_text(town.config.read_text().replace("[log]", f'[admin]\nlisten = "127.0.0.1:{port}"\n[log]'))
    daemon = town.start()
    try:
        def fetched():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                    text = answer.read().decode()
            except OSError:
                return None
            return text if "vaguemestre_feed_failing_seconds{" in text else None

        text = wait_for("a feed that fails, in the metrics", fetched)
    finally:
        daemon.terminate()
        daemon.wait(timeout=30)
    known = documented()
    families = {family.name: family for family in parser.text_string_to_metric_families(text)}
    for name, family in families.items():
        full = f"{name}_total" if family.type == "counter" else name
        assert known.get(full) == family.type, f"{full} is a {family.type}, documented as {known.get(full)}"
    failing = families["vaguemestre_feed_failing_seconds"].samples
    assert [sample.labels for sample in failing] == [{"feed": "fast/mairie/chorus"}], failing
    polls = families["vaguemestre_polls"].samples
    assert any(sample.labels == {"platform": "fast", "outcome": "failed"} and sample.value >= 2 for sample in polls), polls


def rules_and_dashboard_name_what_there_is(_folder, _authority):
    known = documented()
    ends = [f"{name}{end}" for name, kind in known.items() if kind == "histogram" for end in ("_bucket", "_sum", "_count")]
    board = json.loads((DOCS / "grafana/vaguemestre.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(asked) > 20 and len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    rules = (DOCS / "prometheus/vaguemestre.rules.yml").read_text()
    asked += re.findall(r"expr: (.*)", rules)
    strange = {name for text in asked for name in NAME.findall(text)} - known.keys() - set(ends)
    assert not strange, strange
    assert rules.count("- alert:") == rules.count("summary:") == rules.count("remedy:"), "each alert says what to do"


def promtool_accepts_the_rules(_folder, _authority):
    promtool = shutil.which("promtool")
    for arguments in (["check", "rules", "vaguemestre.rules.yml"], ["test", "rules", "vaguemestre.test.yml"]):
        said = subprocess.run([promtool, *arguments], cwd=DOCS / "prometheus", capture_output=True, text=True)
        assert said.returncode == 0, said.stdout + said.stderr
