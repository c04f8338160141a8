"""Not a test by itself: `python tests/evidence_everywhere.py DIR...` takes evidence of every observation below, and redacts it.

A folder is an observation where captures lie in it, with `keys` and `site.yaml` beside them. Prints a line for each and
ends with 1 where evidence, or the redacted capture, is judged otherwise than the whole.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from flowcheck.check import check, key_ring
from flowcheck.share.evidence import write_evidence
from flowcheck.share.pseudonyms import Pseudonyms
from flowcheck.share.redact import redact


def observations(folders):
    for folder in folders:
        yield from sorted({path.parent for path in Path(folder).rglob("*.pcap*")})


def tried(folder, work):
    captures = [str(path) for path in sorted(folder.glob("*.pcap*"))]
    keys = [str(folder / "keys")] if (folder / "keys").is_dir() else []
    site = str(folder / "site.yaml") if (folder / "site.yaml").exists() else None
    ring = key_ring(keys)

    def judge(paths, site):
        return check(paths, site=site, keys=keys, ring=ring)

    result, observation = judge(captures, site)
    evidence = write_evidence(work / "e.pcapng", result, observation, captures, ring,
                              lambda path: check([path], site=site, keys=keys)[0])
    return evidence, redact(captures, work / "r.pcapng", judge, ring, site=site, pseudonyms=Pseudonyms("seed"))


def main(folders):
    wrong = 0
    with TemporaryDirectory() as work:
        for folder in observations(folders):
            evidence, redaction = tried(folder, Path(work))
            wrong += not (evidence.holds and redaction.same)
            print(f"{'ok' if evidence.holds else 'DIFFERS':<8}{'ok' if redaction.same else 'DIFFERS':<8}{folder.name:<46}"
                  f"{evidence}; {len(redaction.remaining)} values still readable with keys")
    print(f"{wrong} differing")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
