//! The stable hash, held against what the original computed: every row of
//! `core/tests/vectors/config-hash.jsonl`.

use super::secret::Secret;
use super::{App, Configuration, MemoryFileEnv};
use crate::schema::Schema;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

const ROWS: &str = include_str!("../../tests/vectors/config-hash.jsonl");

struct Row {
    directory: Option<String>,
    file_name: Option<String>,
    canonical_path: String,
    asset_file: Option<String>,
    key: Option<Vec<u8>>,
    schema_version: i64,
    delete_if_migration_needed: bool,
    read_only: bool,
    hash: i64,
}

fn rows() -> Vec<Row> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let bytes = |hex: String| -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        pairs.map(|pair| byte(pair).unwrap()).collect()
    };
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        Row {
            directory: text(&row["directory"]),
            file_name: text(&row["file_name"]),
            canonical_path: text(&row["canonical_path"]).unwrap(),
            asset_file: text(&row["asset_file"]),
            key: text(&row["key_hex"]).map(bytes),
            schema_version: row["schema_version"].as_i64().unwrap(),
            delete_if_migration_needed: row["delete_if_migration_needed"].as_bool().unwrap(),
            read_only: row["read_only"].as_bool().unwrap(),
            hash: row["hash"].as_i64().unwrap(),
        }
    };
    ROWS.lines().map(row).collect()
}

impl Row {
    /// Skips the builder's checks, since the vectors called the original's constructor directly.
    fn configuration(&self) -> Configuration {
        Configuration {
            directory: self.directory.as_ref().map(PathBuf::from),
            file_name: self.file_name.clone(),
            canonical_path: PathBuf::from(&self.canonical_path),
            asset_file: self.asset_file.clone(),
            key: self.key.as_ref().map(|key| Secret::copy(key).unwrap()),
            schema_version: u64::try_from(self.schema_version).unwrap(),
            delete_if_migration_needed: self.delete_if_migration_needed,
            read_only: self.read_only,
            ..Configuration::bare(Schema::default())
        }
    }

    /// By the builder, where it lets such a configuration through.
    fn built(&self) -> Option<Configuration> {
        let app = App::new("/").file_env(Arc::new(MemoryFileEnv::default()));
        let mut builder = Configuration::builder(&app);
        builder = builder.directory(self.directory.as_ref()?).unwrap();
        builder = builder.name(self.file_name.as_ref()?).ok()?;
        builder = builder.schema_version(self.schema_version).unwrap();
        if let Some(key) = &self.key {
            builder = builder.encryption_key(key).unwrap();
        }
        if let Some(asset) = &self.asset_file {
            builder = builder.asset_file(asset).ok()?;
        }
        if self.delete_if_migration_needed {
            builder = builder.delete_if_migration_needed().ok()?;
        }
        if self.read_only {
            builder = builder.read_only();
        }
        let built = builder.build().ok()?;
        (built.path().to_str() == Some(&self.canonical_path)).then_some(built)
    }

    fn is_of_recovery(&self) -> bool {
        self.directory.is_none()
            && self.file_name.is_none()
            && self.asset_file.is_none()
            && self.schema_version == 0
            && self.read_only
            && !self.delete_if_migration_needed
    }
}

#[test]
fn every_row_hashes_as_the_original_says() {
    let rows = rows();
    assert_eq!(rows.len(), 26);
    for (index, row) in rows.iter().enumerate() {
        let configuration = row.configuration();
        let hash = i64::from(configuration.stable_hash());
        assert_eq!(hash, row.hash, "row {index}:\n{configuration}");
    }
}

#[test]
fn rows_that_can_be_built_hash_and_compare_the_same() {
    let mut built = 0;
    for row in rows() {
        let Some(configuration) = row.built() else { continue };
        assert_eq!(i64::from(configuration.stable_hash()), row.hash, "{configuration}");
        assert_eq!(configuration.first_difference(&row.configuration()), None);
        built += 1;
    }
    assert_eq!(built, 2, "the count of rows that the builder lets through");
}

#[test]
fn rows_of_backups_hash_the_same_by_all_three_forms() {
    let app = App::new("/");
    let rows: Vec<Row> = rows().into_iter().filter(Row::is_of_recovery).collect();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let (path, key) = (&row.canonical_path, row.key.as_deref());
        let mut forms = vec![
            Configuration::for_recovery_with(&app, path, key, &[]).unwrap(),
            Configuration::for_recovery_schema(path, key, &Schema::default()).unwrap(),
        ];
        if key.is_none() {
            forms.push(Configuration::for_recovery(&app, path).unwrap());
        }
        for form in forms {
            assert_eq!(i64::from(form.stable_hash()), row.hash, "{form}");
            assert_eq!(form, row.configuration());
        }
    }
}

#[test]
fn whole_configurations_hash_as_the_facts_say() {
    let app = App::new("/");
    let plain = Configuration::for_recovery(&app, "/tmp/a.realm").unwrap();
    assert_eq!(plain.stable_hash(), 1_697_632_004);
    let key: Vec<u8> = (0..64).collect();
    let encrypted =
        Configuration::for_recovery_with(&app, "/tmp/a.realm", Some(&key), &[]).unwrap();
    assert_eq!(encrypted.stable_hash(), 1_759_456_259);
    let app = App::new("/tmp").file_env(Arc::new(MemoryFileEnv::default()));
    let builder = Configuration::builder(&app).schema_version(42).unwrap();
    let built = builder.delete_if_migration_needed().unwrap().build().unwrap();
    assert_eq!(built.stable_hash(), -1_590_826_919);
}
