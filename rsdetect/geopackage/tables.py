"""Tables and triggers of a GeoPackage (OGC 12-128r15), as SQL."""

# ruff: noqa: S608 - names in statements are those of the package's own layers and columns

TABLES = """
CREATE TABLE gpkg_spatial_ref_sys (
    srs_name TEXT NOT NULL,
    srs_id INTEGER NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    organization_coordsys_id INTEGER NOT NULL,
    definition TEXT NOT NULL,
    description TEXT
);
CREATE TABLE gpkg_contents (
    table_name TEXT NOT NULL PRIMARY KEY,
    data_type TEXT NOT NULL,
    identifier TEXT UNIQUE,
    description TEXT DEFAULT '',
    last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
    min_x DOUBLE,
    min_y DOUBLE,
    max_x DOUBLE,
    max_y DOUBLE,
    srs_id INTEGER,
    CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id)
);
CREATE TABLE gpkg_geometry_columns (
    table_name TEXT NOT NULL,
    column_name TEXT NOT NULL,
    geometry_type_name TEXT NOT NULL,
    srs_id INTEGER NOT NULL,
    z TINYINT NOT NULL,
    m TINYINT NOT NULL,
    CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
    CONSTRAINT uk_gc_table_name UNIQUE (table_name),
    CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
    CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id)
);
CREATE TABLE gpkg_extensions (
    table_name TEXT,
    column_name TEXT,
    extension_name TEXT NOT NULL,
    definition TEXT NOT NULL,
    scope TEXT NOT NULL,
    CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name)
);
CREATE TABLE gpkg_metadata (
    id INTEGER CONSTRAINT m_pk PRIMARY KEY ASC NOT NULL,
    md_scope TEXT NOT NULL DEFAULT 'dataset',
    md_standard_uri TEXT NOT NULL,
    mime_type TEXT NOT NULL DEFAULT 'text/xml',
    metadata TEXT NOT NULL DEFAULT ''
);
CREATE TABLE gpkg_metadata_reference (
    reference_scope TEXT NOT NULL,
    table_name TEXT,
    column_name TEXT,
    row_id_value INTEGER,
    timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
    md_file_id INTEGER NOT NULL,
    md_parent_id INTEGER,
    CONSTRAINT crmr_mfi_fk FOREIGN KEY (md_file_id) REFERENCES gpkg_metadata(id),
    CONSTRAINT crmr_mpi_fk FOREIGN KEY (md_parent_id) REFERENCES gpkg_metadata(id)
);
CREATE TABLE layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    f_table_catalog TEXT(256),
    f_table_schema TEXT(256),
    f_table_name TEXT(256),
    f_geometry_column TEXT(256),
    styleName TEXT(30),
    styleQML TEXT,
    styleSLD TEXT,
    useAsDefault BOOLEAN,
    description TEXT,
    owner TEXT(30),
    ui TEXT(30),
    update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now'))
);
"""

# Triggers that update the spatial index when another program changes the features, verbatim from the
# standard (F.3); {t} is the layer, {g} the geometry column, {r} the index.
_BOX = 'NEW.fid, ST_MinX(NEW."{g}"), ST_MaxX(NEW."{g}"), ST_MinY(NEW."{g}"), ST_MaxY(NEW."{g}")'
_PUT = f'INSERT OR REPLACE INTO "{{r}}" VALUES ({_BOX});'
_THERE = '(NEW."{g}" NOTNULL AND NOT ST_IsEmpty(NEW."{g}"))'
_GONE = '(NEW."{g}" ISNULL OR ST_IsEmpty(NEW."{g}"))'
TRIGGERS = {
    "insert": f'AFTER INSERT ON "{{t}}" WHEN {_THERE} BEGIN {_PUT} END',
    "update1": f'AFTER UPDATE OF "{{g}}" ON "{{t}}" WHEN OLD.fid = NEW.fid AND {_THERE} BEGIN {_PUT} END',
    "update2": f'AFTER UPDATE OF "{{g}}" ON "{{t}}" WHEN OLD.fid = NEW.fid AND {_GONE}'
    ' BEGIN DELETE FROM "{r}" WHERE id = OLD.fid; END',
    "update3": f'AFTER UPDATE ON "{{t}}" WHEN OLD.fid != NEW.fid AND {_THERE}'
    f' BEGIN DELETE FROM "{{r}}" WHERE id = OLD.fid; {_PUT} END',
    "update4": f'AFTER UPDATE ON "{{t}}" WHEN OLD.fid != NEW.fid AND {_GONE}'
    ' BEGIN DELETE FROM "{r}" WHERE id IN (OLD.fid, NEW.fid); END',
    "delete": 'AFTER DELETE ON "{t}" WHEN OLD."{g}" NOT NULL BEGIN DELETE FROM "{r}" WHERE id = OLD.fid; END',
}
