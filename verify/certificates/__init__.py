"""Certificates: counterexamples as files, written once, and decided again by anybody without torch.

A certificate is JSON: the claim, the instance with numbers as exact fractions, the two sides, the code to paste that
replays it, and a digest over all of that. It depends on no library's version: the numbers are written out, and
`check` decides them again from the claim alone. `check` takes files from strangers.
"""

from verify.certificates.checking import CertificateError, Checked, check, load
from verify.certificates.writing import FORMAT, certificate, digest, replay, save

__all__ = ["FORMAT", "CertificateError", "Checked", "certificate", "check", "digest", "load", "replay", "save"]
