"""The governed table; it is made elsewhere."""
from django.db import models


class Order(models.Model):
    id = models.IntegerField(primary_key=True)
    tenant_id = models.TextField()

    class Meta:
        managed = False
        db_table = "orders"
