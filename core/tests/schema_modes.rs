//! The table of the schema modes, every cell of it: mode, version, difference.

use fastness::schema::{
    Action, Change, Class, ModeChoice, Opening, Property, Scalar, Schema, SchemaError, SchemaMode,
    StoredSchema, decide, differences, require_classes, require_match,
};
use fastness::{Error, ErrorKind, Remedy};
use fastness_testkit::property;
use std::path::Path;

const FILE: &str = "files/app";

fn schema(properties: impl IntoIterator<Item = Property>) -> Schema {
    let base = Class::new("A").unwrap().with(property("id", Scalar::Int));
    Schema::new([properties.into_iter().fold(base, Class::with)]).unwrap()
}

/// A pair of stored and wanted schema for each kind of difference, in the order of the columns.
fn pairs() -> Vec<(&'static str, Schema, Schema)> {
    let text = || property("x", Scalar::String);
    let classes = schema([text()]);
    let more = Schema::new(classes.classes().iter().cloned().chain([Class::new("B").unwrap()]));
    vec![
        ("none", classes.clone(), classes.clone()),
        ("AddClass", classes.clone(), more.unwrap()),
        ("AddProperty", schema([]), classes.clone()),
        ("RemoveProperty", classes.clone(), schema([])),
        ("ChangeType", classes.clone(), schema([property("x", Scalar::Int)])),
        ("MakeNullable", schema([text().required()]), classes.clone()),
        ("MakeRequired", classes.clone(), schema([text().required()])),
        ("ChangePrimaryKey", schema([text().indexed()]), schema([text().primary_key()])),
        ("AddIndex", classes.clone(), schema([text().indexed()])),
        ("RemoveIndex", schema([text().indexed()]), classes),
    ]
}

const WANTED: u64 = 5;
const FRESH: Option<u64> = None;
const LOWER: Option<u64> = Some(6);
const SAME: Option<u64> = Some(5);
const HIGHER: Option<u64> = Some(4);

/// A row: mode, version in the file, whether there is a migration, and a letter for each pair.
///
/// `.` nothing, `c` the change, `v` the version, `C` both, `I` a first schema with initial data,
/// `U` one whose keys are checked, `R` the file removed and a first schema, `M` the migration alone
/// with its checks, `A` changes around the migration; `<` version lower, `!` version differs, `x`
/// mismatch, `m` migration needed.
const TABLE: &[(SchemaMode, Option<u64>, bool, &str)] = &[
    (SchemaMode::Automatic, LOWER, true, "<<<<<<<<<<"),
    (SchemaMode::Automatic, SAME, true, ".cmmmmmmcc"),
    (SchemaMode::Automatic, HIGHER, true, "AAAAAAAAAA"),
    (SchemaMode::Automatic, HIGHER, false, "AAAAAAAAAA"),
    (SchemaMode::Automatic, FRESH, true, "IIImmImUII"),
    (SchemaMode::Immutable, LOWER, true, "!!!!!!!!!!"),
    (SchemaMode::Immutable, SAME, true, "..x.xxxx.."),
    (SchemaMode::Immutable, HIGHER, true, "!!!!!!!!!!"),
    (SchemaMode::Immutable, FRESH, true, "!!!!!!!!!!"),
    (SchemaMode::ReadOnly, LOWER, true, "..x.xxxx.."),
    (SchemaMode::ReadOnly, SAME, true, "..x.xxxx.."),
    (SchemaMode::ReadOnly, HIGHER, true, "..x.xxxx.."),
    (SchemaMode::ReadOnly, FRESH, true, "..x.xxxx.."),
    (SchemaMode::ResetFile, LOWER, true, "RRRRRRRRRR"),
    (SchemaMode::ResetFile, SAME, true, ".cRRRRRRcc"),
    (SchemaMode::ResetFile, HIGHER, true, "RRRRRRRRRR"),
    (SchemaMode::ResetFile, FRESH, true, "IIIRRIRUII"),
    (SchemaMode::Additive, LOWER, true, ".cc.xxxxcc"),
    (SchemaMode::Additive, SAME, true, ".cc.xxxx.."),
    (SchemaMode::Additive, HIGHER, true, "vCCvxxxxCC"),
    (SchemaMode::Additive, FRESH, true, "IIIIxxxxII"),
    (SchemaMode::Manual, LOWER, true, "<<<<<<<<<<"),
    (SchemaMode::Manual, SAME, true, ".mmmmmmmmm"),
    (SchemaMode::Manual, HIGHER, true, "MMMMMMMMMM"),
    (SchemaMode::Manual, HIGHER, false, "vmmmmmmmmm"),
    (SchemaMode::Manual, FRESH, true, "IIImmImUII"),
];

fn letter(outcome: &Result<Vec<Action>, SchemaError>) -> char {
    let actions = match outcome {
        Ok(actions) => actions,
        Err(SchemaError::VersionLower { stored: 6, wanted: WANTED, .. }) => return '<',
        Err(SchemaError::VersionDiffers { stored, wanted: WANTED, .. }) if *stored != SAME => {
            return '!';
        }
        Err(SchemaError::Mismatch { .. }) => return 'x',
        Err(SchemaError::MigrationNeeded { .. }) => return 'm',
        Err(error) => panic!("{error}"),
    };
    let changes = actions.iter().filter(|action| matches!(action, Action::Apply(_))).count();
    let (set, data) = (Action::SetVersion(WANTED), Action::WriteInitialData);
    let rest: Vec<&Action> =
        actions.iter().filter(|action| !matches!(action, Action::Apply(_))).collect();
    match (&rest[..], changes) {
        ([], 0) => '.',
        ([], _) => 'c',
        ([one], 0) if **one == set => 'v',
        ([one], _) if **one == set => 'C',
        ([one, two], _) if **one == set && **two == data => 'I',
        ([Action::RequireUniqueKeys, one, two], _) if **one == set && **two == data => 'U',
        ([Action::RemoveFile, one, two], _) if **one == set && **two == data => 'R',
        ([migration, Action::RequireMatch, Action::RequireUniqueKeys, one], 0)
            if is_migration(migration) && **one == set =>
        {
            'M'
        }
        ([Action::RequireUniqueKeys, one], _) if **one == set => 'A',
        ([migration, Action::RequireUniqueKeys, one], _)
            if is_migration(migration) && **one == set =>
        {
            'A'
        }
        _ => panic!("{actions:?}"),
    }
}

fn is_migration(action: &Action) -> bool {
    *action == Action::RunMigration { from: 4, to: WANTED }
}

fn outcomes(mode: SchemaMode, version: Option<u64>, has_migration: bool) -> String {
    let decide = |(_, stored, wanted): (&str, Schema, Schema)| {
        let stored = StoredSchema { version, schema: stored };
        letter(&decide(&Opening {
            path: Path::new(FILE),
            mode,
            stored: &stored,
            wanted: &wanted,
            version: WANTED,
            has_migration,
        }))
    };
    pairs().into_iter().map(decide).collect()
}

#[test]
fn pairs_differ_as_their_columns_say() {
    for (name, stored, wanted) in pairs() {
        let found = differences(&stored, &wanted);
        match found.first() {
            None => assert_eq!(name, "none"),
            Some(found) => assert!(format!("{:?}", found.change).starts_with(name), "{name}"),
        }
        assert!(found.len() <= 1 + usize::from(name == "AddClass"), "{name}: {found:?}");
    }
}

#[test]
fn every_mode_does_what_the_table_says() {
    for &(mode, version, has_migration, expected) in TABLE {
        assert_eq!(outcomes(mode, version, has_migration), expected, "{mode} {version:?}");
    }
}

#[test]
fn every_mode_and_version_is_in_the_table() {
    for mode in SchemaMode::ALL {
        for version in [LOWER, SAME, HIGHER, FRESH] {
            let rows = TABLE.iter().filter(|row| row.0 == mode && row.1 == version && row.2);
            assert_eq!(rows.count(), 1, "{mode} {version:?}");
        }
    }
}

#[test]
fn modes_that_only_read_never_decide_to_write() {
    for &(mode, _, _, row) in TABLE.iter().filter(|row| row.0.only_reads()) {
        assert!(row.chars().all(|letter| ".!x".contains(letter)), "{mode}");
    }
}

#[test]
fn modes_are_selected_by_the_first_match() {
    let choice = |bits: u8| ModeChoice {
        read_only: bits & 1 != 0,
        delete_if_migration_needed: bits & 2 != 0,
        synced: bits & 4 != 0,
    };
    let expected = [5, 1, 3, 1, 4, 1, 3, 1];
    for (bits, mode) in (0..8).zip(expected) {
        assert_eq!(SchemaMode::choose(choice(bits)) as u8, mode, "{bits:03b}");
    }
    for (byte, mode) in (0..6).zip(SchemaMode::ALL) {
        assert_eq!(mode as u8, byte);
    }
}

fn decide_for(
    mode: SchemaMode,
    stored: &StoredSchema,
    wanted: &Schema,
) -> Result<Vec<Action>, ErrorKind> {
    let path = Path::new(FILE);
    let opening = Opening { path, mode, stored, wanted, version: 0, has_migration: false };
    decide(&opening).map_err(|error| Error::from(error).kind())
}

/// A backup keeps its version, and a recovery configuration asks for 0: a limitation of the
/// original that is kept.
#[test]
fn recovery_of_a_file_with_a_version_is_refused() {
    let wanted = schema([]);
    let backup = |version| StoredSchema { version: Some(version), schema: wanted.clone() };
    let outcome = decide_for(SchemaMode::Immutable, &backup(3), &wanted);
    assert_eq!(outcome, Err(ErrorKind::InvalidArgument));
    assert_eq!(decide_for(SchemaMode::Immutable, &backup(0), &wanted), Ok(vec![]));
}

#[test]
fn recovery_with_a_missing_class_needs_a_migration() {
    let stored = StoredSchema { version: Some(0), schema: Schema::default() };
    let wanted = schema([]);
    assert_eq!(decide_for(SchemaMode::Immutable, &stored, &wanted), Ok(vec![]));
    let error = require_classes(Path::new(FILE), &stored.schema, &wanted).unwrap_err();
    assert_eq!(
        error.to_string(),
        "files/app: lacks A and is only read; ask for the classes it has"
    );
    assert_eq!(Error::from(error).kind(), ErrorKind::MigrationNeeded);
}

#[test]
fn recovery_with_different_columns_is_an_illegal_state() {
    let stored = StoredSchema { version: Some(0), schema: schema([]) };
    let wanted = schema([property("new", Scalar::Int)]);
    let outcome = decide_for(SchemaMode::Immutable, &stored, &wanted);
    assert_eq!(outcome, Err(ErrorKind::IllegalState));
    require_classes(Path::new(FILE), &stored.schema, &wanted).unwrap();
}

#[test]
fn recovery_with_extra_columns_and_classes_is_fine() {
    let wanted = schema([]);
    let extra = schema([property("more", Scalar::Int)]);
    let classes = extra.classes().iter().cloned().chain([Class::new("Other").unwrap()]);
    let stored = StoredSchema { version: Some(0), schema: Schema::new(classes).unwrap() };
    assert_eq!(decide_for(SchemaMode::Immutable, &stored, &wanted), Ok(vec![]));
    require_classes(Path::new(FILE), &stored.schema, &wanted).unwrap();
}

#[test]
fn manual_with_a_higher_version_and_no_differences_raises_the_version() {
    assert!(outcomes(SchemaMode::Manual, HIGHER, false).starts_with('v'));
}

#[test]
fn automatic_removes_only_after_the_migration() {
    let (stored, wanted) = (schema([property("old", Scalar::Int)]), schema([]));
    let stored = StoredSchema { version: Some(4), schema: stored };
    let (path, mode) = (Path::new(FILE), SchemaMode::Automatic);
    let opening =
        Opening { path, mode, stored: &stored, wanted: &wanted, version: 5, has_migration: true };
    let actions = decide(&opening).unwrap();
    let migration = actions.iter().position(is_migration).unwrap();
    let removal = actions.iter().position(|action| {
        matches!(action, Action::Apply(found)
            if matches!(found.change, Change::RemoveProperty { .. }))
    });
    assert!(removal.unwrap() > migration, "{actions:?}");
}

#[test]
fn migration_that_leaves_a_difference_is_needed_still() {
    let (left, wanted) = (schema([]), schema([property("new", Scalar::Int)]));
    let error = require_match(Path::new(FILE), &left, &wanted).unwrap_err();
    assert_eq!(Error::from(error).kind(), ErrorKind::MigrationNeeded);
    require_match(Path::new(FILE), &wanted, &wanted).unwrap();
}

#[test]
fn migration_errors_carry_the_path_and_all_differences() {
    let stored = StoredSchema { version: Some(5), schema: schema([property("x", Scalar::Int)]) };
    let wanted = schema([property("y", Scalar::Int), property("z", Scalar::Int)]);
    let (path, mode) = (Path::new(FILE), SchemaMode::Manual);
    let opening =
        Opening { path, mode, stored: &stored, wanted: &wanted, version: 5, has_migration: false };
    let error = decide(&opening).unwrap_err();
    let SchemaError::MigrationNeeded { path, differences } = &error else { panic!("{error}") };
    assert_eq!((path.as_path(), differences.len()), (Path::new(FILE), 3));
}

#[test]
fn a_lower_version_asks_for_a_newer_program() {
    let stored = StoredSchema { version: Some(9), schema: schema([]) };
    let path = Path::new(FILE);
    let wanted = schema([]);
    let mode = SchemaMode::Manual;
    let opening =
        Opening { path, mode, stored: &stored, wanted: &wanted, version: 5, has_migration: true };
    let error = Error::from(decide(&opening).unwrap_err());
    assert_eq!((error.kind(), error.remedy()), (ErrorKind::InvalidArgument, Remedy::Upgrade));
}
