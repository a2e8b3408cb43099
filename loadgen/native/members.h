/* SPDX-License-Identifier: MIT */
/*
 * Objects from JavaScript: members read with their types checked, and memory of
 * typed arrays kept. Nothing here is about loads.
 */
#ifndef MEMBERS_H
#define MEMBERS_H

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <napi.h>

/* The memory of a typed array; null and 0 where there is no array. */
template <typename T> struct Span {
	const T *data = nullptr;
	uint32_t size = 0;
};

/* What JavaScript calls an array of T's. */
template <typename T> struct TypedArrayKind;
template <> struct TypedArrayKind<uint8_t> {
	static constexpr napi_typedarray_type type = napi_uint8_array;
	static constexpr const char *name = "a Uint8Array";
};
template <> struct TypedArrayKind<uint32_t> {
	static constexpr napi_typedarray_type type = napi_uint32_array;
	static constexpr const char *name = "a Uint32Array";
};
template <> struct TypedArrayKind<double> {
	static constexpr napi_typedarray_type type = napi_float64_array;
	static constexpr const char *name = "a Float64Array";
};

/*
 * Reads an object's members. A member of a wrong type throws a TypeError that
 * names it; so does a missing one, but where a method's name says optional.
 */
class Members
{
      public:
	/* what: the object's name in messages */
	Members(Napi::Object object, const char *what)
	    : object(object), what(what)
	{
	}

	/* From 0 to the type's largest; a fraction is cut off. */
	template <typename T> T number(const char *name) const
	{
		constexpr double limit =
			static_cast<double>(std::numeric_limits<T>::max());
		Napi::Value value = object.Get(name);

		if (!value.IsNumber())
			refuse(name, "a number");
		double n = value.As<Napi::Number>();
		/* As a double, the limit of 64 bits is one too many. */
		if (!(n >= 0 && (sizeof(T) < 8 ? n <= limit : n < limit)))
			refuse(name,
			       "between 0 and " +
				       std::to_string(
					       std::numeric_limits<T>::max()));
		return static_cast<T>(n);
	}

	bool boolean(const char *name) const
	{
		Napi::Value value = object.Get(name);

		if (!value.IsBoolean())
			refuse(name, "a boolean");
		return value.As<Napi::Boolean>();
	}

	bool optional_boolean(const char *name) const
	{
		return has(name) && boolean(name);
	}

	std::string string(const char *name) const
	{
		Napi::Value value = object.Get(name);

		if (!value.IsString())
			refuse(name, "a string");
		return value.As<Napi::String>();
	}

	/*
	 * A typed array of T's; its memory is the caller's for as long as the
	 * reference that is added to kept lives.
	 */
	template <typename T>
	Span<T> array(const char *name,
		      std::vector<Napi::ObjectReference> &kept) const
	{
		Napi::Value value = object.Get(name);

		if (!is_array<T>(value))
			refuse(name, TypedArrayKind<T>::name);
		auto typed = value.As<Napi::TypedArrayOf<T>>();
		if (typed.ElementLength() > UINT32_MAX)
			refuse(name, "shorter than 2^32 elements");
		kept.push_back(Napi::Persistent(value.As<Napi::Object>()));
		return { typed.Data(),
			 static_cast<uint32_t>(typed.ElementLength()) };
	}

	template <typename T>
	Span<T> optional_array(const char *name,
			       std::vector<Napi::ObjectReference> &kept) const
	{
		return has(name) ? array<T>(name, kept) : Span<T>();
	}

	bool has(const char *name) const
	{
		return !object.Get(name).IsUndefined();
	}

      private:
	template <typename T> static bool is_array(Napi::Value value)
	{
		return value.IsTypedArray() &&
		       value.As<Napi::TypedArray>().TypedArrayType() ==
			       TypedArrayKind<T>::type;
	}

	[[noreturn]] void refuse(const char *name,
				 const std::string &wanted) const
	{
		throw Napi::TypeError::New(object.Env(),
					   std::string(what) + "." + name +
						   " must be " + wanted);
	}

	Napi::Object object;
	const char *what;
};

#endif
