"""Two tenants at once, in threads: python tenants.py acme globex. Prints what each saw, as JSON."""
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
import django

django.setup()

from django.db import connection
from django.db.utils import DatabaseError
from rowseal_claims import acting_for
from shop.models import Order

ROUNDS = 10


def work(tenant, other):
    seen = set()
    refused = 0
    for _ in range(ROUNDS):
        with acting_for({"tenant_id": tenant}):
            seen.update(Order.objects.values_list("tenant_id", flat=True))
        try:
            with acting_for({"tenant_id": tenant}):
                Order.objects.create(id=9, tenant_id=other)
        except DatabaseError:
            refused += 1
    without = Order.objects.count()
    connection.close()
    return {"tenant": tenant, "seen": sorted(seen), "refused": refused, "without": without}


def main(tenants):
    with ThreadPoolExecutor(len(tenants)) as pool:
        print(json.dumps(list(pool.map(work, tenants, reversed(tenants)))))


main(sys.argv[1:])
