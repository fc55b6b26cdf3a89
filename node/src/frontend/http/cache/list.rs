//! Lists in JSON, whose length is up to the client.

use super::super::problem::Problem;
use crate::limits;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

/// The items of a list, up to [`limits::BATCH_KEYS`]: further ones are counted alone.
#[derive(Debug)]
pub(super) struct List<T> {
    items: Vec<T>,
    count: usize,
}

impl<T> List<T> {
    /// All items of the list that the request calls `name`.
    ///
    /// # Errors
    /// When there are none or too many.
    pub(super) fn all(self, name: &str) -> Result<Vec<T>, Problem> {
        if self.count == 0 {
            return Err(Problem::invalid(format!("{name}: the list is empty")));
        }
        check(self.count)?;
        Ok(self.items)
    }
}

/// # Errors
/// When a request is about more than so many keys.
pub(super) fn check(keys: usize) -> Result<(), Problem> {
    let limit = limits::BATCH_KEYS;
    if keys > limit {
        return Err(Problem::too_large(format!("list of {keys} keys exceeds the limit of {limit}")));
    }
    Ok(())
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

struct Items<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
    type Value = List<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<T>, A::Error> {
        let mut items = Vec::new();
        while items.len() < limits::BATCH_KEYS
            && let Some(item) = list.next_element()?
        {
            items.push(item);
        }
        let mut count = items.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(List { items, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;

    #[test]
    fn a_list_is_read_to_its_end_and_kept_up_to_its_bound() {
        let list = |count: usize| {
            let text = format!("[{}]", vec!["7"; count].join(","));
            serde_json::from_str::<List<u8>>(&text).unwrap()
        };
        assert_eq!(list(2).all("keys").unwrap(), [7, 7]);
        assert_eq!(list(limits::BATCH_KEYS).all("keys").unwrap().len(), limits::BATCH_KEYS);
        let long = list(3 * limits::BATCH_KEYS);
        assert_eq!((long.items.len(), long.count), (limits::BATCH_KEYS, 3 * limits::BATCH_KEYS));
        assert_eq!(long.all("keys").unwrap_err().into_response().status(), 413);
        assert_eq!(list(0).all("keys").unwrap_err().into_response().status(), 400);
    }
}
