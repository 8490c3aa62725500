"""What Django needs behind PgBouncer in transaction mode, and the signing key."""
import os

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["PGHOST"],
        "PORT": os.environ["PGPORT"],
        "NAME": os.environ["PGDATABASE"],
        "USER": os.environ["PGUSER"],
        "PASSWORD": os.environ["PGPASSWORD"],
        # A cursor that outlives its transaction would outlive its server connection.
        "DISABLE_SERVER_SIDE_CURSORS": True,
    }
}
INSTALLED_APPS = ["shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

ROWSEAL_CLAIMS_KEY = os.environ["ROWSEAL_CLAIMS_KEY"]
ROWSEAL_CLAIMS_KEY_ID = os.environ["ROWSEAL_CLAIMS_KEY_ID"]
