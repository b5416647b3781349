//! Code generation: the `impl` of a struct that defines a class.

use crate::definition::{Definition, Field, Role};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Ident, Path};

/// Writes the implementation.
pub(crate) fn write(Definition { name, class, is_local, fields }: &Definition) -> TokenStream {
    let local = is_local.then(|| quote!(.local()));
    let definitions = fields.iter().filter_map(define);
    let reads = fields.iter().map(read);
    let contents = fields.iter().filter_map(content);
    let key = fields.iter().find_map(key).unwrap_or_else(|| quote!(::core::option::Option::None));
    let checks = fields.iter().filter_map(check);
    quote! {
        #[automatically_derived]
        #[allow(deprecated, reason = "a deprecated field is still stored")]
        impl ::fastness::typed::Object for #name {
            const CLASS: &'static str = #class;

            fn class() -> ::fastness::Result<::fastness::schema::Class> {
                ::core::result::Result::Ok(
                    ::fastness::schema::Class::new(#class)? #local #(.with(#definitions))*
                )
            }

            fn read(object: &::fastness::object::Object<'_>) -> ::fastness::Result<Self> {
                ::core::result::Result::Ok(Self { #(#reads),* })
            }

            fn key(&self) -> ::core::option::Option<(
                &'static str,
                ::fastness::object::Value<'_>,
            )> {
                #key
            }

            fn properties(&self) -> ::std::vec::Vec<(
                &'static str,
                ::fastness::object::PropertyValue<'_>,
            )> {
                ::std::vec![#(#contents),*]
            }
        }

        #(#checks)*
    }
}

/// The definition of a property.
fn define(Field { kind, role, .. }: &Field) -> Option<TokenStream> {
    match role {
        Role::Ignored => None,
        Role::Backlinks { property, origin } => Some(quote_spanned! { kind.span() =>
            ::fastness::typed::backlinks_property(
                ::core::marker::PhantomData::<#kind>, #property, #origin
            )?
        }),
        Role::Stored { property, primary_key, indexed, with } => {
            let kind = stored_type(kind, with.as_ref());
            let primary_key = primary_key.then(|| quote!(.primary_key()));
            let indexed = indexed.then(|| quote!(.indexed()));
            Some(quote_spanned! { kind.span() =>
                <#kind as ::fastness::typed::Field>::property(#property)? #primary_key #indexed
            })
        }
    }
}

/// Reading a field.
fn read(Field { name, kind, role }: &Field) -> TokenStream {
    match role {
        Role::Ignored => quote_spanned! { kind.span() =>
            #name: ::core::default::Default::default()
        },
        Role::Backlinks { origin, .. } => quote_spanned! { kind.span() =>
            #name: ::fastness::typed::Link::backlinks(object, #origin)?
        },
        Role::Stored { property, with: Some(with), .. } => quote_spanned! { with.span() =>
            #name: ::fastness::typed::read_with::<#with::Stored, #kind>(
                object, #property, #with::from_stored
            )?
        },
        Role::Stored { property, with: None, .. } => quote_spanned! { kind.span() =>
            #name: <#kind as ::fastness::typed::Field>::read(object, #property)?
        },
    }
}

/// The type that is stored: that of the field, or the one that a module makes of it.
fn stored_type(kind: &TokenStream, with: Option<&Path>) -> TokenStream {
    match with {
        Some(with) => quote_spanned!(with.span()=> #with::Stored),
        None => kind.clone(),
    }
}

/// The content that a field stores.
fn stored_content((name, kind): (&Ident, &TokenStream), with: Option<&Path>) -> TokenStream {
    match with {
        Some(with) => quote_spanned! { with.span() =>
            ::fastness::typed::content_with::<#with::Stored>(#with::to_stored(&self.#name))
        },
        None => quote_spanned! { kind.span() =>
            <#kind as ::fastness::typed::Field>::content(&self.#name)
        },
    }
}

/// Value of a stored field, except for the primary key.
fn content(Field { name, kind, role }: &Field) -> Option<TokenStream> {
    let Role::Stored { property, primary_key: false, with, .. } = role else { return None };
    let content = stored_content((name, kind), with.as_ref());
    Some(quote_spanned! { kind.span() => (#property, #content) })
}

fn key(Field { name, kind, role }: &Field) -> Option<TokenStream> {
    let Role::Stored { property, primary_key: true, with, .. } = role else { return None };
    let content = stored_content((name, kind), with.as_ref());
    Some(quote_spanned! { kind.span() =>
        match #content {
            ::fastness::object::PropertyValue::Value(key) => {
                ::core::option::Option::Some((#property, key))
            }
            ::fastness::object::PropertyValue::List(_) => ::core::option::Option::None,
        }
    })
}

/// Compile-time checks that the type of a field may be the primary key or indexed.
fn check(Field { kind, role, .. }: &Field) -> Option<TokenStream> {
    let Role::Stored { property, primary_key, indexed, with } = role else { return None };
    let kind = &stored_type(kind, with.as_ref());
    let one = |allowed: TokenStream, text: String| {
        quote_spanned! { kind.span() =>
            const _: () = ::core::assert!(
                match <#kind as ::fastness::typed::Field>::SCALAR {
                    ::core::option::Option::Some(scalar) => scalar.#allowed(),
                    ::core::option::Option::None => false,
                },
                #text
            );
        }
    };
    let key = primary_key.then(|| {
        let text = "is the primary key: only i64 and String can be, and an Option of one";
        one(quote!(may_be_primary_key), format!("`{property}` {text}"))
    });
    let index = indexed.then(|| {
        let text = "is indexed: only i64, bool, String and Timestamp can be, and an Option of one";
        one(quote!(may_be_indexed), format!("`{property}` {text}"))
    });
    Some(quote!(#key #index))
}
