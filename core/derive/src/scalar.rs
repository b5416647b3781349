//! `#[derive(ScalarType)]`: an enum without fields, or a struct around one value, as a value of a
//! property.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, Data, DataEnum, DeriveInput, Error, Fields, Ident, LitInt, LitStr, Result};

/// How the values of a type are stored.
struct Stored {
    scalar: TokenStream,
    to_value: TokenStream,
    of_value: TokenStream,
}

/// A variant of an enum, and the value that stands for it.
struct Variant<'v> {
    ident: &'v Ident,
    name: String,
    number: Option<i64>,
    at: Span,
}

/// Writes the implementation.
///
/// # Errors
/// All errors of the type.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    if let Some(parameter) = input.generics.params.first() {
        let text = "a scalar is one type: remove the parameters";
        return Err(Error::new(parameter.span(), text));
    }
    let text = "a scalar is an enum without fields, or a struct around one value: make it one";
    let stored = match &input.data {
        Data::Enum(data) => of_enum(data)?,
        Data::Struct(data) => match &data.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                of_struct(fields.unnamed.first().map(|field| field.ty.to_token_stream()))
            }
            _ => return Err(Error::new(input.ident.span(), text)),
        },
        Data::Union(_) => return Err(Error::new(input.ident.span(), text)),
    };
    Ok(write(&input.ident, &stored))
}

fn of_struct(kind: Option<TokenStream>) -> Stored {
    let span = kind.as_ref().map_or_else(Span::call_site, |kind| kind.span());
    Stored {
        scalar: quote_spanned!(span=> <#kind as ::fastness::typed::ScalarType>::SCALAR),
        to_value: quote_spanned!(span=> ::fastness::typed::ScalarType::to_value(&self.0)),
        of_value: quote_spanned!(span=>
            <#kind as ::fastness::typed::ScalarType>::of_value(value).map(Self)
        ),
    }
}

fn of_enum(data: &DataEnum) -> Result<Stored> {
    let variants = data.variants.iter().map(variant).collect::<Result<Vec<_>>>()?;
    check_together(&variants)?;
    let idents = variants.iter().map(|variant| variant.ident);
    let again = idents.clone();
    if variants.iter().any(|variant| variant.number.is_some()) {
        let numbers = variants.iter().filter_map(|variant| variant.number);
        let held = numbers.clone();
        return Ok(Stored {
            scalar: quote!(::fastness::schema::Scalar::Int),
            to_value: quote!(::fastness::object::Value::Int(
                match self { #(Self::#idents => #numbers),* }
            )),
            of_value: quote!(match value {
                #(::fastness::object::Value::Int(#held) => {
                    ::core::option::Option::Some(Self::#again)
                })*
                _ => ::core::option::Option::None,
            }),
        });
    }
    let names = variants.iter().map(|variant| &variant.name);
    let held = names.clone();
    Ok(Stored {
        scalar: quote!(::fastness::schema::Scalar::String),
        to_value: quote!(::fastness::object::Value::String(::std::borrow::Cow::Borrowed(
            match self { #(Self::#idents => #names),* }
        ))),
        of_value: quote!({
            let ::fastness::object::Value::String(text) = value else {
                return ::core::option::Option::None;
            };
            match &*text {
                #(#held => ::core::option::Option::Some(Self::#again),)*
                _ => ::core::option::Option::None,
            }
        }),
    })
}

fn variant(variant: &syn::Variant) -> Result<Variant<'_>> {
    let ident = &variant.ident;
    if !matches!(variant.fields, Fields::Unit) {
        let text = "a variant that is stored has no fields: remove them";
        return Err(Error::new(ident.span(), text));
    }
    let (name, number) = attributes(&variant.attrs)?;
    let name = name.map_or_else(|| ident.unraw().to_string(), |name| name.value());
    Ok(Variant { ident, name, number, at: ident.span() })
}

fn attributes(attributes: &[Attribute]) -> Result<(Option<LitStr>, Option<i64>)> {
    let (mut name, mut number) = (None, None);
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("object")) {
        attribute.parse_nested_meta(|entry| {
            if entry.path.is_ident("name") {
                name = Some(entry.value()?.parse::<LitStr>()?);
                return Ok(());
            }
            if entry.path.is_ident("number") {
                let value = entry.value()?;
                let is_negative = value.parse::<syn::Token![-]>().is_ok();
                let digits: i64 = value.parse::<LitInt>()?.base10_parse()?;
                number = Some(if is_negative { -digits } else { digits });
                return Ok(());
            }
            Err(entry.error("a variant takes `name = \"..\"` or `number = ..`"))
        })?;
    }
    Ok((name, number))
}

fn check_together(variants: &[Variant<'_>]) -> Result<()> {
    let has_numbers = variants.iter().any(|variant| variant.number.is_some());
    for (index, variant) in variants.iter().enumerate() {
        if has_numbers && variant.number.is_none() {
            let text = "other variants have numbers: give this one a `number` too";
            return Err(Error::new(variant.at, text));
        }
        let is_same = |other: &Variant<'_>| match has_numbers {
            true => other.number == variant.number,
            false => other.name == variant.name,
        };
        if variants[..index].iter().any(is_same) {
            let text = "another variant is stored as the same value: choose another";
            return Err(Error::new(variant.at, text));
        }
    }
    Ok(())
}

fn write(name: &Ident, Stored { scalar, to_value, of_value }: &Stored) -> TokenStream {
    let list = list_element(name);
    quote! {
        #[automatically_derived]
        impl ::fastness::typed::ScalarType for #name {
            const SCALAR: ::fastness::schema::Scalar = #scalar;

            fn to_value(&self) -> ::fastness::object::Value<'_> {
                #to_value
            }

            fn of_value(
                value: ::fastness::object::Value<'_>,
            ) -> ::core::option::Option<Self> {
                #of_value
            }
        }

        #list

        #[automatically_derived]
        impl ::core::convert::From<#name> for ::fastness::object::Value<'_> {
            fn from(value: #name) -> Self {
                ::fastness::typed::ScalarType::to_value(&value).into_owned()
            }
        }

        #[automatically_derived]
        impl<'a> ::core::convert::From<&'a #name> for ::fastness::object::Value<'a> {
            fn from(value: &'a #name) -> Self {
                ::fastness::typed::ScalarType::to_value(value)
            }
        }
    }
}

/// A list holds the type too.
fn list_element(name: &Ident) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl ::fastness::typed::ElementType for #name {
            fn list() -> ::fastness::schema::PropertyType {
                ::fastness::schema::PropertyType::List {
                    of: <Self as ::fastness::typed::ScalarType>::SCALAR,
                    nullable: false,
                }
            }

            fn to_value(&self) -> ::fastness::object::Value<'_> {
                ::fastness::typed::ScalarType::to_value(self)
            }

            fn of_value(
                value: ::fastness::object::Value<'_>,
            ) -> ::core::option::Option<Self> {
                <Self as ::fastness::typed::ScalarType>::of_value(value)
            }
        }
    }
}
