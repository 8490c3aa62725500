"""Django: transactions that act for somebody. Works behind a pooler in transaction mode.

In a request, the middleware acts for the user that authentication found; elsewhere use `acting_for(claims)`.
"""
import base64
import hashlib
import hmac
import json
import time
from contextlib import contextmanager

from django.conf import settings
from django.db import transaction


@contextmanager
def acting_for(claims, using="default"):
    """One transaction; nothing of the claims is left on the connection after it."""
    with transaction.atomic(using=using):
        with transaction.get_connection(using).cursor() as cursor:
            cursor.execute("select rowseal.challenge()")
            (challenge,) = cursor.fetchone()
            # True: for this transaction only.
            cursor.execute("select set_config('rowseal.token', %s, true)", [sign_claims(challenge, claims)])
        yield


def sign_claims(challenge, claims):
    """The format of docs/claims.md."""
    body = base64.b64encode(json.dumps(claims).encode()).decode()
    head = f"rs1.{int(time.time()) + 60}.{settings.ROWSEAL_CLAIMS_KEY_ID}.{challenge}.{body}"
    key = base64.b64decode(settings.ROWSEAL_CLAIMS_KEY)
    return f"{head}.{base64.b64encode(hmac.new(key, head.encode(), hashlib.sha256).digest()).decode()}"


class RowsealClaimsMiddleware:
    """After AuthenticationMiddleware. A request without a user acts for nobody, and sees nothing."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if not request.user.is_authenticated:
            return self.get_response(request)
        with acting_for({"sub": str(request.user.pk), "tenant_id": request.user.tenant_id}):
            return self.get_response(request)
