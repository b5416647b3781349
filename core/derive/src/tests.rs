//! Errors of the derive and their texts; core's tests show the structs that compile.

use super::{expand, expand_scalar};
use std::str::FromStr as _;

/// The texts of the errors that a struct gets.
fn errors(input: &str) -> Vec<String> {
    let output = expand(proc_macro2::TokenStream::from_str(input).unwrap()).to_string();
    let errors = output.split("compile_error ! {").skip(1);
    assert_ne!(output.contains("impl"), output.contains("compile_error"), "{output}");
    errors.map(|error| error.split('"').nth(1).unwrap().to_owned()).collect()
}

#[track_caller]
fn check(input: &str, expect: &[&str]) {
    let found = errors(input);
    assert_eq!(found.len(), expect.len(), "{input}: {found:?}");
    for (found, expect) in found.iter().zip(expect) {
        assert!(found.contains(expect), "{input}: {found:?} should contain {expect:?}");
    }
}

fn field(attribute: &str, field: &str) -> String {
    format!("struct Dog {{ #[object({attribute})] {field} }}")
}

#[test]
fn only_a_struct_with_named_fields_is_accepted() {
    for input in ["enum Dog { A }", "struct Dog;", "struct Dog(i64);", "union Dog { a: i64 }"] {
        check(input, &["a struct with named fields"]);
    }
    check("struct Dog<T> { t: T }", &["remove the parameters"]);
    check("struct Dog<'a> { t: &'a str }", &["remove the parameters"]);
}

#[test]
fn unknown_and_repeated_attributes_are_refused() {
    check(&field("key", "a: i64"), &["a field takes `primary_key`, `indexed`, `ignored`"]);
    check(&field("class = \"A\"", "a: i64"), &["a field takes"]);
    check(&field("indexed, indexed", "a: i64"), &["given twice: remove one"]);
    check(&field("property", "a: i64"), &["expected `=`"]);
    check("#[object(primary_key)] struct Dog { a: i64 }", &["a struct takes `class = "]);
    check("#[object(local, local)] struct Dog { a: i64 }", &["given twice"]);
    check("#[object(local)] struct Dog { a: i64 }", &[]);
    check("#[object(class = \"A\", class = \"B\")] struct Dog { a: i64 }", &["given twice"]);
}

#[test]
fn attributes_that_cannot_be_read_are_refused() {
    check("struct Dog { #[object] a: i64 }", &["expected attribute arguments in parentheses"]);
    check("struct Dog { #[object = \"a\"] a: i64 }", &["expected parentheses"]);
    check(&field("primary_key = \"a\"", "a: i64"), &["expected `,`"]);
    check(&field("property = a", "a: i64"), &["expected string literal"]);
    check(&field("backlinks(a)", "a: i64"), &["expected `=`"]);
    check(&field("object::indexed", "a: i64"), &["a field takes"]);
    check("#[object(class = \"\")] struct Dog { a: i64 }", &["1 to 57 UTF-16 units"]);
    // Attributes of other derives are ignored.
    check("#[serde(default)] struct Dog { /** doc */ #[serde(skip)] a: i64 }", &[]);
}

/// Only the compiler knows the types, so the generated code checks them.
#[test]
fn types_of_keys_and_indexes_are_checked_by_the_generated_code() {
    for (attribute, question, text) in [
        ("primary_key", "may_be_primary_key", "`a` is the primary key: only i64 and String can be"),
        ("indexed", "may_be_indexed", "`a` is indexed: only i64, bool, String and Timestamp can"),
    ] {
        let input = field(attribute, "a: f64").parse().unwrap();
        let output = expand(input).to_string();
        assert!(output.contains(question) && output.contains(text), "{output}");
        let others = field("property = \"b\"", "a: f64").parse().unwrap();
        assert!(!expand(others).to_string().contains(question));
    }
}

#[test]
fn attributes_that_exclude_each_other_are_refused() {
    check(&field("ignored, indexed", "a: i64"), &["an ignored field is no property"]);
    check(&field("ignored, property = \"b\"", "a: i64"), &["an ignored field is no property"]);
    check(&field("backlinks = \"b\", primary_key", "a: i64"), &["a computed property is no key"]);
}

#[test]
fn names_have_the_limits_of_the_schema() {
    let named = |length: usize| format!("property = \"{}\"", "ü".repeat(length));
    check(&field(&named(63), "a: i64"), &[]);
    check(&field(&named(64), "a: i64"), &["1 to 63 UTF-16 units"]);
    check(&field(&named(0), "a: i64"), &["1 to 63 UTF-16 units"]);
    check(&field("property = \"a.b\"", "a: i64"), &["no `.`"]);
    check(&format!("struct {} {{}}", "D".repeat(57)), &[]);
    check(&format!("struct {} {{}}", "D".repeat(58)), &["1 to 57 UTF-16 units"]);
    check("#[object(class = \"class_Dog\")] struct Dog {}", &["leave it out"]);
}

#[test]
fn all_errors_are_reported_at_once() {
    let input = "struct Dog<T> {
        #[object(primary_key)] a: i64,
        #[object(primary_key)] b: i64,
        #[object(property = \"a\")] c: i64,
        #[object(fast)] d: i64,
    }";
    let expect = ["remove the parameters", "a field takes", "`a` is it already"];
    check(input, &[&expect[..], &["two properties have the name `a`"]].concat());
}

#[test]
fn raw_names_lose_their_prefix() {
    let output = expand("struct r#struct { r#type: i64 }".parse().unwrap()).to_string();
    assert!(output.contains("\"type\"") && output.contains("\"struct\""), "{output}");
    assert!(!output.contains("\"r#"), "{output}");
}

/// The text of the error that a scalar gets; none if there is none.
fn scalar_error(input: &str) -> Option<String> {
    let output = expand_scalar(proc_macro2::TokenStream::from_str(input).unwrap()).to_string();
    let error = output.split("compile_error ! {").nth(1);
    error.map(|error| error.split('"').nth(1).unwrap().replace('\\', ""))
}

#[test]
fn a_scalar_is_an_enum_without_fields_or_a_struct_around_one_value() {
    for input in ["struct A { a: i64 }", "struct A;", "struct A(i64, i64);", "union A { a: i64 }"] {
        assert!(scalar_error(input).unwrap().contains("make it one"), "{input}");
    }
    for (input, expect) in [
        ("struct A<T>(T);", "remove the parameters"),
        ("enum A { B(i64) }", "a variant that is stored has no fields"),
        ("enum A { #[object(key)] B }", "a variant takes `name"),
        ("enum A { #[object(number = 1)] B, C }", "give this one a `number` too"),
        ("enum A { #[object(number = 1)] B, #[object(number = 1)] C }", "the same value"),
        ("enum A { #[object(name = \"C\")] B, C }", "the same value"),
    ] {
        let found = scalar_error(input).unwrap();
        assert!(found.contains(expect), "{input}: {found}");
    }
    for input in ["struct A(String);", "enum A { B, C }", "enum A { #[object(number = -1)] B }"] {
        assert_eq!(scalar_error(input), None, "{input}");
    }
}

#[test]
fn a_module_that_converts_is_a_path_of_a_stored_field() {
    for (field, expect) in [
        ("with = \"a b\"", "`with` names a module"),
        ("ignored, with = \"m\"", "an ignored field is no property"),
        ("backlinks = \"dogs\", with = \"m\"", "a computed property is no key"),
        ("with = \"m\", with = \"n\"", "given twice"),
    ] {
        let input = format!("struct A {{ #[object({field})] b: char }}");
        let output = expand(proc_macro2::TokenStream::from_str(&input).unwrap()).to_string();
        assert!(output.contains("compile_error") && output.contains(expect), "{input}: {output}");
    }
}
