//! Links to objects that do not exist: null for the app, or a hidden element, and visible again
//! once the object is created again.
//!
//! - MR3 A link whose target does not exist reads as null; in a list it is hidden.
//!
//! Format: docs/sync.md#window.

use super::convert::core_link;
use super::gaps::ListPlace;
use super::record::{
    ElementMemory, ObjectPrefix, OwnerKey, ValueRecord, WindowKey, link, links_to, read_link,
};
use super::{FileResult, TableState};
use fastness::table::{ClassId, ElementId, LinkSource, ObjectKey, ObjectRef, Operation, Value};

/// The property that a hidden link is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkOwner<'o> {
    pub(super) target: &'o ObjectRef,
    pub(super) property: &'o str,
}

impl TableState<'_> {
    /// Returns where the hidden link of a property to an object is recorded.
    fn link_key(&self, owner: LinkOwner<'_>, to: &[u8]) -> FileResult<Vec<u8>> {
        let LinkOwner { target, property } = owner;
        let class = self.tables.class_id(&target.class);
        let defined = self.tables.property(&target.class, property);
        let (Some(class), Some((column, property))) = (class, defined) else {
            return Err(self.tables.damaged());
        };
        let to_class = property.kind().class().and_then(|class| self.tables.class_id(class));
        let to_class = to_class.ok_or_else(|| self.tables.damaged())?;
        let key = target.key.to_vec();
        Ok(link((to_class, to), OwnerKey { class, key: &key, column }))
    }

    /// Records a hidden link of a property, or of an element.
    pub(super) fn put_hidden_link(
        &mut self,
        owner: LinkOwner<'_>,
        to: &[u8],
        element: Option<ElementId>,
    ) -> FileResult<()> {
        let key = self.link_key(owner, to)?;
        let Some(element) = element else { return self.insert(&key, &[]) };
        let mut elements: Vec<ElementId> = self.read(&key)?;
        elements.push(element);
        self.put(&key, &elements)
    }

    /// Forgets a hidden link of a property, or of an element.
    pub(super) fn remove_hidden_link(
        &mut self,
        owner: LinkOwner<'_>,
        to: &[u8],
        element: Option<ElementId>,
    ) -> FileResult<()> {
        let key = self.link_key(owner, to)?;
        let Some(element) = element else { return self.remove(&key) };
        let mut elements: Vec<ElementId> = self.read(&key)?;
        elements.retain(|held| *held != element);
        self.put(&key, &elements)
    }

    /// Hides every link to an object that is about to be deleted, but its own.
    pub(super) fn hide_links_to(&mut self, target: &ObjectRef) -> FileResult<()> {
        for LinkSource { object, property, elements } in self.tables.link_sources(target)? {
            if object == *target {
                continue;
            }
            let owner = LinkOwner { target: &object, property: &property };
            let to = target.key.to_vec();
            match elements {
                None => self.hide_link(owner, to)?,
                Some(elements) => self.hide_elements(owner, &to, &elements)?,
            }
        }
        Ok(())
    }

    fn hide_link(&mut self, owner: LinkOwner<'_>, to: Vec<u8>) -> FileResult<()> {
        let (target, property) = (owner.target.clone(), owner.property.to_owned());
        self.apply(&Operation::Set { target, property, value: Value::Null })?;
        self.put_hidden_link(owner, &to, None)?;
        let at = self.value_key(owner)?;
        let record = ValueRecord { link: Some(to), ..self.read(&at)? };
        self.put(&at, &record)
    }

    fn hide_elements(
        &mut self,
        owner: LinkOwner<'_>,
        to: &[u8],
        elements: &[ElementId],
    ) -> FileResult<()> {
        let list = self.list(owner)?;
        for id in elements {
            self.hide(&list, *id)?;
            let memory = ElementMemory { link: Some(to.to_vec()), ..self.memory(&list, *id)? };
            self.put_memory(&list, *id, &memory)?;
            self.put_hidden_link(owner, to, Some(*id))?;
        }
        Ok(())
    }

    /// Shows every hidden link to an object that was just created.
    pub(super) fn show_links_to(&mut self, target: &ObjectRef) -> FileResult<()> {
        let class = self.tables.class_id(&target.class).ok_or_else(|| self.tables.damaged())?;
        let to = target.key.to_vec();
        for key in self.keys(&links_to(class, &to))? {
            let owner = read_link(&key).ok_or_else(|| self.tables.damaged())?;
            let elements: Vec<ElementId> = self.read(&key)?;
            self.remove(&key)?;
            let (object, property) = self.owner(owner)?;
            let owner = LinkOwner { target: &object, property: &property };
            if elements.is_empty() {
                self.show_link(owner, target)?;
            } else {
                self.show_elements(owner, target, &elements)?;
            }
        }
        Ok(())
    }

    fn show_link(&mut self, owner: LinkOwner<'_>, to: &ObjectRef) -> FileResult<()> {
        let at = self.value_key(owner)?;
        let record = ValueRecord { link: None, ..self.read(&at)? };
        self.put(&at, &record)?;
        let (target, property) = (owner.target.clone(), owner.property.to_owned());
        self.apply(&Operation::Set { target, property, value: core_link(to) }).map(drop)
    }

    fn show_elements(
        &mut self,
        owner: LinkOwner<'_>,
        to: &ObjectRef,
        elements: &[ElementId],
    ) -> FileResult<()> {
        let list = self.list(owner)?;
        for id in elements {
            let memory = ElementMemory { link: None, ..self.memory(&list, *id)? };
            self.put_memory(&list, *id, &memory)?;
            let spot = self.take_hidden(&list, *id)?;
            self.show_at(&list, (*id, &core_link(to)), spot)?;
        }
        Ok(())
    }

    /// Forgets everything about an object that was deleted.
    pub(super) fn forget_object(&mut self, class: ClassId, target: &ObjectRef) -> FileResult<()> {
        let key = target.key.to_vec();
        for record in self.keys(ObjectPrefix::new(class, &key).bytes())? {
            self.forget_link(&record, target)?;
            self.remove(&record)?;
        }
        Ok(())
    }

    /// Forgets the hidden link of a record that is about to be removed.
    fn forget_link(&mut self, record: &[u8], target: &ObjectRef) -> FileResult<()> {
        let key = WindowKey::read(record).ok_or_else(|| self.tables.damaged())?;
        let (owner, element, link) = match key {
            WindowKey::Value(owner) => (owner, None, self.read::<ValueRecord>(record)?.link),
            WindowKey::Element(owner, id) => {
                (owner, Some(id), self.read::<ElementMemory>(record)?.link)
            }
            WindowKey::Deletion | WindowKey::Head(_) | WindowKey::Derived => return Ok(()),
        };
        let Some(link) = link else { return Ok(()) };
        let (_, property) = self.owner(owner)?;
        self.remove_hidden_link(LinkOwner { target, property: &property }, &link, element)
    }

    /// Returns the object and the property of a record.
    fn owner(&self, owner: OwnerKey<'_>) -> FileResult<(ObjectRef, String)> {
        let class = self.tables.class_name(owner.class).map(str::to_owned);
        let property = self.tables.property_numbered(owner.class, owner.column);
        let key = ObjectKey::from_slice(owner.key);
        match (class, property, key) {
            (Some(class), Some(property), Some(key)) => {
                Ok((ObjectRef { class, key }, property.to_owned()))
            }
            _ => Err(self.tables.damaged()),
        }
    }

    /// Returns where the memory of a property is.
    pub(super) fn value_key(&self, owner: LinkOwner<'_>) -> FileResult<Vec<u8>> {
        let list = self.list(owner)?;
        Ok(list.prefix.value(list.column))
    }

    /// Returns a property as a place of elements.
    pub(super) fn list<'p>(&self, owner: LinkOwner<'p>) -> FileResult<ListPlace<'p>> {
        let LinkOwner { target, property } = owner;
        let class = self.tables.class_id(&target.class);
        let column = self.tables.property(&target.class, property);
        let (Some(class), Some((column, _))) = (class, column) else {
            return Err(self.tables.damaged());
        };
        let prefix = ObjectPrefix::new(class, &target.key.to_vec());
        Ok(ListPlace { target, property, prefix, column })
    }
}
