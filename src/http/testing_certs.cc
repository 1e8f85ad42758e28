// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "http/testing_certs.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <memory>

namespace aliquot::http {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;

// A test without certificates has nothing to go on with.
void Must(bool done) {
  if (!done) std::abort();
}

template <typename Write>
std::string Pem(Write write) {
  const Bio bio(::BIO_new(::BIO_s_mem()));
  Must(write(bio.get()) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

Bio Reader(const std::string& text) {
  return Bio(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

void Extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = ::X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  Must(extension != nullptr && ::X509_add_ext(certificate, extension, -1) == 1);
  ::X509_EXTENSION_free(extension);
}

Certificate Prepare(const std::string& name, EVP_PKEY* key, int days) {
  Certificate certificate(::X509_new());
  X509* raw = certificate.get();
  ::X509_set_version(raw, 2);  // v3
  unsigned serial = 0;
  Must(::RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)) == 1);
  ::ASN1_INTEGER_set_uint64(::X509_get_serialNumber(raw), serial);
  ::X509_gmtime_adj(::X509_getm_notBefore(raw), days < 0 ? days * 2 * 86'400L : -3'600L);
  ::X509_gmtime_adj(::X509_getm_notAfter(raw), days * 86'400L);
  ::X509_set_pubkey(raw, key);
  ::X509_NAME_add_entry_by_txt(::X509_get_subject_name(raw), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

TestingIdentity Written(X509* certificate, EVP_PKEY* key) {
  return {Pem([&](BIO* bio) { return ::PEM_write_bio_X509(bio, certificate); }), Pem([&](BIO* bio) {
            return ::PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

}  // namespace

TestingAuthority::TestingAuthority(const std::string& name) {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate = Prepare(name, key.get(), 1);
  ::X509_set_issuer_name(certificate.get(), ::X509_get_subject_name(certificate.get()));
  Extend(certificate.get(), certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  Extend(certificate.get(), certificate.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  Must(::X509_sign(certificate.get(), key.get(), ::EVP_sha256()) > 0);
  self_ = Written(certificate.get(), key.get());
}

TestingIdentity TestingAuthority::Issue(const std::string& name,
                                        const std::vector<std::string>& alternatives,
                                        int days) const {
  const Certificate issuer(
      ::PEM_read_bio_X509(Reader(self_.certificate).get(), nullptr, nullptr, nullptr));
  const Key issuer_key(
      ::PEM_read_bio_PrivateKey(Reader(self_.key).get(), nullptr, nullptr, nullptr));
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate = Prepare(name, key.get(), days);
  ::X509_set_issuer_name(certificate.get(), ::X509_get_subject_name(issuer.get()));
  Extend(certificate.get(), issuer.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  if (!alternatives.empty()) {
    Extend(certificate.get(), issuer.get(), NID_subject_alt_name,
           fmt::format("{}", fmt::join(alternatives, ",")));
  }
  Must(::X509_sign(certificate.get(), issuer_key.get(), ::EVP_sha256()) > 0);
  return Written(certificate.get(), key.get());
}

}  // namespace aliquot::http
