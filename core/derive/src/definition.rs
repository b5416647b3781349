//! Definition of a class, parsed from a struct and checked as far as its tokens allow.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned as _;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Generics, Ident, LitStr, Path, Result};

/// Longest names in UTF-16 units, as docs/schema.md has them; the schema checks them again.
const CLASS_NAME_UNITS_MAX: usize = 57;
const PROPERTY_NAME_UNITS_MAX: usize = 63;

/// A class that a struct defines.
pub(crate) struct Definition {
    pub(crate) name: Ident,
    pub(crate) class: String,
    pub(crate) is_local: bool,
    pub(crate) fields: Vec<Field>,
}

/// A field of the struct.
pub(crate) struct Field {
    pub(crate) name: Ident,
    pub(crate) kind: TokenStream,
    pub(crate) role: Role,
}

/// Role of a field in the class.
pub(crate) enum Role {
    /// Not stored.
    Ignored,
    /// A computed property: the objects that link here from a property of another class.
    Backlinks { property: String, origin: LitStr },
    /// A stored property. `with` is the module that converts the field.
    Stored { property: String, primary_key: bool, indexed: bool, with: Option<Path> },
}

/// Attributes of a field, each with its position.
#[derive(Default)]
struct FieldAttributes {
    primary_key: Option<Span>,
    indexed: Option<Span>,
    ignored: Option<Span>,
    backlinks: Option<LitStr>,
    property: Option<LitStr>,
    with: Option<LitStr>,
}

/// Errors, reported together.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn at(&mut self, at: Span, text: impl std::fmt::Display) {
        self.push(Error::new(at, text));
    }
}

impl Definition {
    /// Parses a struct.
    ///
    /// # Errors
    /// All errors of the struct.
    pub(crate) fn new(input: &DeriveInput) -> Result<Self> {
        let mut errors = Errors::default();
        if let Some(at) = parameters(&input.generics) {
            errors.at(at, "a class is one struct: remove the parameters");
        }
        let (class, is_local) = class_attributes(input, &mut errors);
        let fields = match named_fields(&input.data) {
            Some(fields) => {
                fields.iter().filter_map(|field| read_field(field, &mut errors)).collect()
            }
            None => {
                let text = "a class is a struct with named fields: give it some";
                errors.at(input.ident.span(), text);
                Vec::new()
            }
        };
        check_together(&fields, &mut errors);
        match errors.0 {
            Some(errors) => Err(errors),
            None => Ok(Self { name: input.ident.clone(), class, is_local, fields }),
        }
    }
}

fn parameters(generics: &Generics) -> Option<Span> {
    generics.params.first().map(|parameter| parameter.span())
}

fn named_fields(data: &Data) -> Option<&syn::punctuated::Punctuated<syn::Field, syn::Token![,]>> {
    match data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Some(&fields.named),
            _ => None,
        },
        _ => None,
    }
}

/// Calls `body` for each entry of the attributes `#[object(..)]`.
fn each_entry(
    attributes: &[Attribute],
    errors: &mut Errors,
    mut body: impl FnMut(&ParseNestedMeta<'_>) -> Result<()>,
) {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("object")) {
        if let Err(error) = attribute.parse_nested_meta(|entry| body(&entry)) {
            errors.push(error);
        }
    }
}

/// Sets an attribute that may be given once.
fn set_once<T>(slot: &mut Option<T>, entry: &ParseNestedMeta<'_>, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(entry.error("this attribute is given twice: remove one")),
    }
}

fn text(entry: &ParseNestedMeta<'_>) -> Result<LitStr> {
    entry.value()?.parse()
}

/// Returns the name of the class, and whether it is local.
fn class_attributes(input: &DeriveInput, errors: &mut Errors) -> (String, bool) {
    let (mut given, mut local) = (None, None);
    each_entry(&input.attrs, errors, |entry| {
        if entry.path.is_ident("class") {
            set_once(&mut given, entry, text(entry)?)
        } else if entry.path.is_ident("local") {
            set_once(&mut local, entry, ())
        } else {
            Err(entry.error("a struct takes `class = \"..\"` or `local`"))
        }
    });
    let (name, at) = match given {
        Some(given) => (given.value(), given.span()),
        None => (input.ident.unraw().to_string(), input.ident.span()),
    };
    if name.is_empty() || units(&name) > CLASS_NAME_UNITS_MAX {
        let max = CLASS_NAME_UNITS_MAX;
        errors.at(at, format!("the name of a class has 1 to {max} UTF-16 units: choose another"));
    } else if name.starts_with("class_") {
        errors.at(at, "`class_` begins the names of tables: leave it out");
    }
    (name, local.is_some())
}

fn read_field(field: &syn::Field, errors: &mut Errors) -> Option<Field> {
    let name = field.ident.clone()?;
    let attributes = read_attributes(field, errors);
    let (property, at) = match &attributes.property {
        Some(given) => (given.value(), given.span()),
        None => (name.unraw().to_string(), name.span()),
    };
    if property.is_empty() || property.contains('.') || units(&property) > PROPERTY_NAME_UNITS_MAX {
        let max = PROPERTY_NAME_UNITS_MAX;
        let text = "UTF-16 units and no `.`: choose another";
        errors.at(at, format!("the name of a property has 1 to {max} {text}"));
    }
    let others = [attributes.primary_key, attributes.indexed];
    let role = if let Some(at) = attributes.ignored {
        let named = [&attributes.backlinks, &attributes.property, &attributes.with];
        let named = named.into_iter().flatten().next();
        if others.into_iter().flatten().next().is_some() || named.is_some() {
            errors.at(at, "an ignored field is no property: remove its other attributes");
        }
        Role::Ignored
    } else if let Some(origin) = attributes.backlinks {
        if others.into_iter().flatten().next().is_some() || attributes.with.is_some() {
            let text =
                "a computed property is no key and has no index: remove the other attributes";
            errors.at(origin.span(), text);
        }
        Role::Backlinks { property, origin }
    } else {
        let primary_key = attributes.primary_key.is_some();
        let indexed = attributes.indexed.is_some();
        let with = attributes.with.and_then(|with| path(&with, errors));
        Role::Stored { property, primary_key, indexed, with }
    };
    Some(Field { name, kind: field.ty.to_token_stream(), role })
}

fn read_attributes(field: &syn::Field, errors: &mut Errors) -> FieldAttributes {
    let mut attributes = FieldAttributes::default();
    each_entry(&field.attrs, errors, |entry| {
        let name = entry.path.get_ident().map(Ident::to_string).unwrap_or_default();
        let at = entry.path.span();
        match name.as_str() {
            "primary_key" => set_once(&mut attributes.primary_key, entry, at),
            "indexed" => set_once(&mut attributes.indexed, entry, at),
            "ignored" => set_once(&mut attributes.ignored, entry, at),
            "backlinks" => set_once(&mut attributes.backlinks, entry, text(entry)?),
            "property" => set_once(&mut attributes.property, entry, text(entry)?),
            "with" => set_once(&mut attributes.with, entry, text(entry)?),
            _ => Err(entry.error(
                "a field takes `primary_key`, `indexed`, `ignored`, `property = \"..\"`, \
                 `with = \"..\"` or `backlinks = \"..\"`",
            )),
        }
    });
    attributes
}

/// Parses the path of a module.
fn path(with: &LitStr, errors: &mut Errors) -> Option<Path> {
    let parsed = with.parse::<Path>();
    if parsed.is_err() {
        errors.at(with.span(), "`with` names a module, such as `with = \"crate::date_text\"`");
    }
    parsed.ok()
}

/// Checks that property names are unique and that one field at most is the primary key.
fn check_together(fields: &[Field], errors: &mut Errors) {
    let mut key: Option<&Ident> = None;
    let mut names: Vec<&str> = Vec::new();
    for Field { name, role, .. } in fields {
        let property = match role {
            Role::Ignored => continue,
            Role::Backlinks { property, .. } | Role::Stored { property, .. } => property,
        };
        if names.contains(&property.as_str()) {
            let text = format!("two properties have the name `{property}`: choose another");
            errors.at(name.span(), text);
        }
        names.push(property);
        if let Role::Stored { primary_key: true, .. } = role {
            match key {
                Some(first) => {
                    let text = format!("a class has one primary key, and `{first}` is it already");
                    errors.at(name.span(), text);
                }
                None => key = Some(name),
            }
        }
    }
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}
