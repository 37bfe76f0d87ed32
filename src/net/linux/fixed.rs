//! A heap array whose address never changes, so that the kernel's headers can point into it.

use std::ptr::NonNull;

/// A fixed-length array on the heap. Unlike a `Box`, moving it or borrowing from it asserts nothing about other raw
/// pointers into it, so pointers from [`Fixed::at`] stay valid until it is dropped.
pub(super) struct Fixed<T> {
    start: NonNull<T>,
    len: usize,
}

// SAFETY: a `Fixed` owns its elements as a `Box<[T]>` does.
unsafe impl<T: Send> Send for Fixed<T> {}

impl<T> Fixed<T> {
    /// Makes `len` elements.
    pub fn new(len: usize, make: impl FnMut(usize) -> T) -> Self {
        Self::from_box((0..len).map(make).collect())
    }

    fn from_box(elements: Box<[T]>) -> Self {
        let len = elements.len();
        let start = NonNull::new(Box::into_raw(elements).cast::<T>()).expect("a box is never null");
        Self { start, len }
    }

    /// A pointer to the element `index`; panics if there is none.
    pub fn at(&self, index: usize) -> *mut T {
        assert!(index < self.len);
        // SAFETY: `index` is inside the allocation, checked above.
        unsafe { self.start.as_ptr().add(index) }
    }

    /// All elements.
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: `start` and `len` describe the live allocation, which `self` owns and lends.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// All elements, to change.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as above, and `&mut self` makes the loan exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Fixed<u8> {
    /// `len` octets of zero, in pages that are the process's only once they are written.
    pub fn zeroed(len: usize) -> Self {
        Self::from_box(vec![0; len].into_boxed_slice())
    }
}

impl<T> Drop for Fixed<T> {
    fn drop(&mut self) {
        let elements = std::ptr::slice_from_raw_parts_mut(self.start.as_ptr(), self.len);
        // SAFETY: the pointer and length are those that `Box::into_raw` gave in `new`, and nobody uses them again.
        drop(unsafe { Box::from_raw(elements) });
    }
}
