"""Care of a data directory: backups, the doctor, migrations, the signing identity."""
