# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
"""Requests that kubectl does not make as such, or not often enough a second."""

import http.client
import json
import ssl

from harness import layout

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class Api:
    """One connection to the API server, as its administrator. Not thread-safe."""

    def __init__(self):
        context = ssl.create_default_context(cafile=str(layout.PKI / "ca.crt"))
        context.load_cert_chain(layout.PKI / "admin-client.crt", layout.PKI / "admin-client.key")
        self.connection = http.client.HTTPSConnection("127.0.0.1", 443, context=context)

    def request(self, method, path, body=None, kind="application/json", headers=()):
        """Returns the HTTP status and the object that came back."""
        self.connection.request(method, path, None if body is None else json.dumps(body),
                                {"Content-Type": kind, **dict(headers)})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())
