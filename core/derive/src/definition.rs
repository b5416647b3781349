//! What a struct says about its class, checked as far as its text can tell.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned as _;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Generics, Ident, LitStr, Result};

/// Longest names in UTF-16 units, as docs/schema.md has them; the schema checks them again.
const CLASS_NAME_UNITS_MAX: usize = 57;
const PROPERTY_NAME_UNITS_MAX: usize = 63;

/// A class, as a struct defines it.
pub(crate) struct Definition {
    pub(crate) name: Ident,
    pub(crate) class: String,
    pub(crate) fields: Vec<Field>,
}

/// A field of the struct.
pub(crate) struct Field {
    pub(crate) name: Ident,
    pub(crate) kind: TokenStream,
    pub(crate) role: Role,
}

/// What a field is to the class.
pub(crate) enum Role {
    /// Not part of it.
    Ignored,
    /// A property that is computed: the links here from this property of another class.
    Linking { property: String, origin: LitStr },
    /// A property that is stored.
    Stored { property: String, primary_key: bool, indexed: bool },
}

/// What the attributes of a field say, each with where it says so.
#[derive(Default)]
struct Words {
    primary_key: Option<Span>,
    indexed: Option<Span>,
    ignored: Option<Span>,
    backlinks: Option<LitStr>,
    property: Option<LitStr>,
}

/// Errors, which are told together.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(held) => held.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn at(&mut self, at: Span, text: impl std::fmt::Display) {
        self.push(Error::new(at, text));
    }
}

impl Definition {
    /// Reads a struct.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn new(input: &DeriveInput) -> Result<Self> {
        let mut errors = Errors::default();
        if let Some(at) = parameters(&input.generics) {
            errors.at(at, "a class is one struct: remove the parameters");
        }
        let class = class_name(input, &mut errors);
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
            None => Ok(Self { name: input.ident.clone(), class, fields }),
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

/// Hands over each word of the attributes `#[object(..)]`.
fn each_word(
    attributes: &[Attribute],
    errors: &mut Errors,
    mut body: impl FnMut(&ParseNestedMeta<'_>) -> Result<()>,
) {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("object")) {
        if let Err(error) = attribute.parse_nested_meta(|word| body(&word)) {
            errors.push(error);
        }
    }
}

/// Takes a word that may be said once.
fn once<T>(place: &mut Option<T>, (word, value): (&ParseNestedMeta<'_>, T)) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(word.error("this is said twice: remove one")),
    }
}

fn text(word: &ParseNestedMeta<'_>) -> Result<LitStr> {
    word.value()?.parse()
}

fn class_name(input: &DeriveInput, errors: &mut Errors) -> String {
    let mut given = None;
    each_word(&input.attrs, errors, |word| match word.path.is_ident("class") {
        true => once(&mut given, (word, text(word)?)),
        false => Err(word.error("of a struct, say `class = \"..\"`")),
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
    name
}

fn read_field(field: &syn::Field, errors: &mut Errors) -> Option<Field> {
    let name = field.ident.clone()?;
    let words = read_words(field, errors);
    let (property, at) = match &words.property {
        Some(given) => (given.value(), given.span()),
        None => (name.unraw().to_string(), name.span()),
    };
    if property.is_empty() || property.contains('.') || units(&property) > PROPERTY_NAME_UNITS_MAX {
        let max = PROPERTY_NAME_UNITS_MAX;
        let text = "UTF-16 units and no `.`: choose another";
        errors.at(at, format!("the name of a property has 1 to {max} {text}"));
    }
    let others = [words.primary_key, words.indexed];
    let role = if let Some(at) = words.ignored {
        let named = [&words.backlinks, &words.property].into_iter().flatten().next();
        if others.into_iter().flatten().next().is_some() || named.is_some() {
            errors.at(at, "an ignored field is no property: say nothing else of it");
        }
        Role::Ignored
    } else if let Some(origin) = words.backlinks {
        if others.into_iter().flatten().next().is_some() {
            let text = "a computed property is no key and has no index: say nothing else of it";
            errors.at(origin.span(), text);
        }
        Role::Linking { property, origin }
    } else {
        let (primary_key, indexed) = (words.primary_key.is_some(), words.indexed.is_some());
        Role::Stored { property, primary_key, indexed }
    };
    Some(Field { name, kind: field.ty.to_token_stream(), role })
}

fn read_words(field: &syn::Field, errors: &mut Errors) -> Words {
    let mut words = Words::default();
    each_word(&field.attrs, errors, |word| {
        let name = word.path.get_ident().map(Ident::to_string).unwrap_or_default();
        let at = word.path.span();
        match name.as_str() {
            "primary_key" => once(&mut words.primary_key, (word, at)),
            "indexed" => once(&mut words.indexed, (word, at)),
            "ignored" => once(&mut words.ignored, (word, at)),
            "backlinks" => once(&mut words.backlinks, (word, text(word)?)),
            "property" => once(&mut words.property, (word, text(word)?)),
            _ => Err(word.error(
                "of a field, say `primary_key`, `indexed`, `ignored`, `property = \"..\"` or \
                 `linking = \"..\"`",
            )),
        }
    });
    words
}

/// Checks what fields must not have in common.
fn check_together(fields: &[Field], errors: &mut Errors) {
    let mut key: Option<&Ident> = None;
    let mut names: Vec<&str> = Vec::new();
    for Field { name, role, .. } in fields {
        let property = match role {
            Role::Ignored => continue,
            Role::Linking { property, .. } | Role::Stored { property, .. } => property,
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
